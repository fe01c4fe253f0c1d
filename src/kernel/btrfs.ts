/**
 * Subvolumes of btrfs (include/uapi/linux/btrfs.h): made, copied and destroyed in the time of one transaction, whatever is
 * in them. Each call works on a name in a directory of the same file system.
 */
import fs from 'node:fs'
import path from 'node:path'
import { syscall } from './libc.ts'

/** `f_type` of statfs(2): include/uapi/linux/magic.h, BTRFS_SUPER_MAGIC. */
const MAGIC = 0x9123_683e

/** _IOW(0x94, NUMBER, 4096): every argument is a block of 4096 bytes. */
const SUBVOL_CREATE = 0x5000_940e
const SNAP_DESTROY = 0x5000_940f
const SNAP_CREATE_V2 = 0x5000_9417
const ARGUMENT_BYTES = 4096
/** struct btrfs_ioctl_vol_args { __s64 fd; char name[4088] } */
const NAME_AT = 8
/** struct btrfs_ioctl_vol_args_v2 { __s64 fd; __u64 transid, flags, unused[4]; char name[4040] } */
const NAME_AT_V2 = 56

function withDirectory<T>(directory: string, use: (fd: number) => T): T {
  const fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    return use(fd)
  } finally {
    fs.closeSync(fd)
  }
}

function argumentOf(subvolume: string, nameAt: number): Buffer {
  const argument = Buffer.alloc(ARGUMENT_BYTES)
  argument.write(path.basename(subvolume), nameAt)
  return argument
}

export function isBtrfs(directory: string): boolean {
  return fs.statfsSync(directory).type === MAGIC
}

/** @throws {SYSCALL_FAILED} ENOTTY where the file system is another */
export function createSubvolume(subvolume: string): void {
  withDirectory(path.dirname(subvolume), (fd) =>
    syscall('ioctl', fd, SUBVOL_CREATE, argumentOf(subvolume, NAME_AT)),
  )
}

/**
 * A writable copy that shares all blocks with its source until either is written to.
 * @throws {SYSCALL_FAILED}
 */
export function snapshotSubvolume(source: string, subvolume: string): void {
  const argument = argumentOf(subvolume, NAME_AT_V2)
  withDirectory(source, (sourceFd) => {
    argument.writeBigInt64LE(BigInt(sourceFd))
    withDirectory(path.dirname(subvolume), (fd) => syscall('ioctl', fd, SNAP_CREATE_V2, argument))
  })
}

/**
 * Destroys a subvolume with all in it; blocks are freed in the background.
 * @throws {SYSCALL_FAILED} ENOTEMPTY where another subvolume is in it
 */
export function destroySubvolume(subvolume: string): void {
  withDirectory(path.dirname(subvolume), (fd) =>
    syscall('ioctl', fd, SNAP_DESTROY, argumentOf(subvolume, NAME_AT)),
  )
}
