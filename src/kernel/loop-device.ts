/** Loop devices: a file as a block device (man 4 loop). */
import { closeSync, openSync, readFileSync, readdirSync } from 'node:fs'
import { syscall, SyscallError, trySyscall } from './libc.ts'

/** include/uapi/linux/loop.h */
const LOOP_CTL_GET_FREE = 0x4c82
const LOOP_CONFIGURE = 0x4c0a // Linux 5.8
const CONFIG_BYTES = 304 // struct loop_config: fd, block_size, struct loop_info64, eight reserved words
const FLAGS_OFFSET = 60 // lo_flags
const LO_FLAGS_AUTOCLEAR = 4
const EBUSY = 16
const MAX_TRIES = 100

export interface LoopDevice {
  /** `/dev/loop3` */
  readonly path: string
  /** Keeps the device attached until it is mounted; the caller closes it. */
  readonly fd: number
}

/**
 * The loop device of a file: the one that it has, or a new one, which goes with its last user. One file has one device at
 * a time, or two mounts of it would write over each other.
 * @param file absolute, without symbolic links
 * @throws {SyscallError} where the kernel has no loop devices to give
 */
export function openLoopDevice(file: string): LoopDevice {
  const existing = loopDeviceOf(file)
  if (existing !== undefined) return { path: existing, fd: openSync(existing, 'r+') }
  const backing = openSync(file, 'r+')
  try {
    return attachToFree(backing)
  } finally {
    closeSync(backing)
  }
}

function loopDeviceOf(file: string): string | undefined {
  const names = readdirSync('/sys/block').filter((name) => name.startsWith('loop'))
  const name = names.find((candidate) => backingFileOf(candidate) === file)
  return name === undefined ? undefined : `/dev/${name}`
}

function backingFileOf(name: string): string | undefined {
  try {
    return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trimEnd()
  } catch {
    return undefined // it has none
  }
}

function attachToFree(backing: number): LoopDevice {
  const control = openSync('/dev/loop-control', 'r+')
  try {
    const config = Buffer.alloc(CONFIG_BYTES)
    config.writeUInt32LE(backing, 0)
    config.writeUInt32LE(LO_FLAGS_AUTOCLEAR, FLAGS_OFFSET)
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const path = `/dev/loop${String(syscall('ioctl', control, LOOP_CTL_GET_FREE))}`
      const fd = openSync(path, 'r+')
      const result = trySyscall('ioctl', fd, LOOP_CONFIGURE, config)
      if (result >= 0) return { path, fd }
      closeSync(fd)
      if (result !== -EBUSY) throw new SyscallError('ioctl', -result, path) // EBUSY: another was faster
    }
    throw new SyscallError('ioctl', EBUSY, '/dev/loop-control')
  } finally {
    closeSync(control)
  }
}
