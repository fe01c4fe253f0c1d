/**
 * The file system calls that Node lacks: path resolution confined to a directory, device nodes, extended attributes and
 * syncfs. Each throws a SyscallError that names the call and the path. All but `syncFileSystem` block the calling
 * thread for the time of one metadata operation.
 */
import os from 'node:os'
import koffi from 'koffi'
import { errnoName, syscall, SyscallError, trySyscall } from './libc.ts'
import { TsstackError } from '../errors.ts'

/** `resolve` flags of openat2(2), from include/uapi/linux/openat2.h. */
export const RESOLVE = {
  NO_XDEV: 0x01,
  NO_MAGICLINKS: 0x02,
  NO_SYMLINKS: 0x04,
  /** A path that leaves the directory fails with EXDEV. */
  BENEATH: 0x08,
  /** The directory is the root: absolute symlinks and `..` stay inside. */
  IN_ROOT: 0x10,
} as const

/** Open flags that `fs.constants` lacks; the same on x86-64 and arm64 but for O_DIRECTORY, O_NOFOLLOW (use fs.constants). */
export const O_PATH = 0o10000000
export const O_CLOEXEC = 0o2000000

const EINTR = os.constants.errno.EINTR
const EAGAIN = os.constants.errno.EAGAIN
const ENODATA = os.constants.errno.ENODATA
const EOPNOTSUPP = os.constants.errno.EOPNOTSUPP
const ERANGE = os.constants.errno.ERANGE
const MAX_XATTR_BYTES = 65_536 // XATTR_SIZE_MAX, XATTR_LIST_MAX: include/uapi/linux/limits.h

export interface OpenConfined {
  readonly flags: number
  /** Permission bits of a file that is made. Default: 0. */
  readonly mode?: number
  /** Any of RESOLVE, or-ed. */
  readonly resolve: number
}

/**
 * openat2(2) (Linux 5.6): opens `path` relative to `dirfd` under the given rules of resolution. O_CLOEXEC is always set.
 * @returns the descriptor, or the negated errno
 */
export function tryOpenConfined(dirfd: number, path: string, how: OpenConfined): number {
  const buffer = new BigUint64Array([
    BigInt(how.flags | O_CLOEXEC),
    BigInt(how.mode ?? 0),
    BigInt(how.resolve),
  ])
  const bytes = new Uint8Array(buffer.buffer)
  for (let attempt = 0; ; attempt++) {
    const result = trySyscall('openat2', dirfd, path, bytes, bytes.length)
    // EAGAIN: a rename raced with the resolution of `..`; the man page says to try again.
    if ((result !== -EINTR && result !== -EAGAIN) || attempt === 100) return result
  }
}

/**
 * As `tryOpenConfined`, but a failure is an error.
 * @throws {SYSCALL_FAILED}
 */
export function openConfined(dirfd: number, path: string, how: OpenConfined): number {
  const result = tryOpenConfined(dirfd, path, how)
  if (result < 0) throw new SyscallError('openat2', -result, path)
  return result
}

export interface DeviceNode {
  /** File type and permission bits, as `st_mode`. */
  readonly mode: number
  readonly major: number
  readonly minor: number
}

/**
 * mknodat(2). The mode is subject to the umask.
 * @throws {SYSCALL_FAILED}
 */
export function makeNode(dirfd: number, name: string, node: DeviceNode): void {
  const device = ((node.major & 0xfff) << 8) | (node.minor & 0xff) | ((node.minor & ~0xff) << 12)
  syscall('mknodat', dirfd, name, node.mode, device >>> 0)
}

/**
 * lsetxattr(2): creates or replaces.
 * @throws {SYSCALL_FAILED}
 */
export function setXattr(path: string, name: string, value: Uint8Array): void {
  // An empty buffer has no address.
  const bytes = value.length === 0 ? new Uint8Array(1) : value
  const result = trySyscall('lsetxattr', path, name, bytes, value.length, 0)
  if (result < 0) throw new SyscallError('lsetxattr', -result, path)
}

const scratch = Buffer.alloc(MAX_XATTR_BYTES)

/**
 * lgetxattr(2).
 * @returns undefined where the attribute, or the file system's support for it, is missing
 * @throws {SYSCALL_FAILED}
 */
export function getXattr(path: string, name: string): Buffer | undefined {
  const result = trySyscall('lgetxattr', path, name, scratch, scratch.length)
  if (result === -ENODATA || result === -EOPNOTSUPP) return undefined
  if (result < 0) throw new SyscallError('lgetxattr', -result, path)
  return Buffer.from(scratch.subarray(0, result))
}

/**
 * llistxattr(2): the names of a file's extended attributes, none where the file system has no support.
 * @throws {SYSCALL_FAILED}
 */
export function listXattrs(path: string): string[] {
  const result = trySyscall('llistxattr', path, scratch, scratch.length)
  if (result === -EOPNOTSUPP || result === -ERANGE || result === 0) return []
  if (result < 0) throw new SyscallError('llistxattr', -result, path)
  return scratch
    .toString('latin1', 0, result - 1)
    .split('\0')
    .map((name) => Buffer.from(name, 'latin1').toString())
}

/**
 * lremovexattr(2); nothing to do where the attribute is missing.
 * @throws {SYSCALL_FAILED}
 */
export function removeXattr(path: string, name: string): void {
  const result = trySyscall('lremovexattr', path, name)
  if (result < 0 && result !== -ENODATA) throw new SyscallError('lremovexattr', -result, path)
}

const syncfs = koffi.load(null).func('syncfs', 'int', ['int'])

/**
 * syncfs(2) of the file system that `fd` is on, on a thread of libuv's pool: it may take seconds.
 * @throws {SYSCALL_FAILED} when a write-back failed
 */
export async function syncFileSystem(fd: number): Promise<void> {
  const [result, errno] = await new Promise<[number, number]>((resolve, reject) => {
    syncfs.async(fd, (error: Error | null, value: number) => {
      if (error === null) resolve([value, koffi.errno()])
      else reject(error)
    })
  })
  if (result !== 0) throw new TsstackError('SYSCALL_FAILED', `Cannot syncfs: ${errnoName(errno)}`)
}
