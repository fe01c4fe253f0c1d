/**
 * A directory that holds no more than so many bytes (`storage_opt: size`): an ext4 file system in a sparse file, mounted
 * through a loop device.
 *
 *   <home>/disk.img     the file system; it takes on the disk what is written in it
 *   <home>/disk/        where it is mounted, from the first use until it is removed or the host restarts
 */
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { TsstackError } from '../../errors.ts'
import { MNT_DETACH } from '../../kernel/constants.ts'
import { syscall, SyscallError, trySyscall } from '../../kernel/libc.ts'
import { openLoopDevice } from '../../kernel/loop-device.ts'

const FORMAT_TIMEOUT_MS = 60_000
/** No blocks are kept for root: they would be missing from what was asked for. A new file is zero: nothing is overwritten. */
const FORMAT_OPTIONS = ['-q', '-F', '-m', '0', '-E', 'lazy_itable_init=1,lazy_journal_init=1']
/** Nor later, by the kernel; and what is deleted is given back to the disk (man 5 ext4). */
const MOUNT_OPTIONS = 'noinit_itable,discard'
const run = promisify(execFile)

/**
 * Makes the file system in an empty directory.
 * @param sizeBytes of the whole file system; some of it is its own
 * @throws {FAILED_PRECONDITION} where there is no mkfs.ext4; {INVALID_ARGUMENT} for a size that is not to be had
 */
export async function makeLimitedDirectory(home: string, sizeBytes: number): Promise<void> {
  checkFits(home, sizeBytes)
  const image = path.join(home, 'disk.img')
  fs.closeSync(fs.openSync(image, 'wx', 0o600))
  fs.truncateSync(image, sizeBytes)
  fs.mkdirSync(path.join(home, 'disk'))
  try {
    await run('mkfs.ext4', [...FORMAT_OPTIONS, image], {
      timeout: FORMAT_TIMEOUT_MS,
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
    })
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string }
    const why = code === 'ENOENT' ? 'the host has no mkfs.ext4' : stderr.trim().slice(0, 200)
    throw new TsstackError('FAILED_PRECONDITION', `Cannot limit the writable layer: ${why}`, {
      cause: error,
      hint: 'Install e2fsprogs, or remove "storage_opt:"',
    })
  }
}

function checkFits(home: string, sizeBytes: number): void {
  const { blocks, bsize } = fs.statfsSync(home)
  if (sizeBytes <= blocks * bsize) return
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot limit the writable layer to ${sizeBytes} bytes: the disk is smaller than that`,
    { hint: 'Give "storage_opt:" a smaller size, or remove it' },
  )
}

/**
 * The directory, mounted where it is not yet: after a restart of the host.
 * @throws {FAILED_PRECONDITION} where loop devices or ext4 are not to be had
 */
export function openLimitedDirectory(home: string): string {
  const directory = path.join(home, 'disk')
  if (fs.statSync(directory).dev !== fs.statSync(home).dev) return directory
  try {
    const device = openLoopDevice(fs.realpathSync(path.join(home, 'disk.img')))
    try {
      syscall('mount', device.path, directory, 'ext4', 0, MOUNT_OPTIONS)
    } finally {
      fs.closeSync(device.fd)
    }
  } catch (error) {
    const why = error instanceof SyscallError ? error.errnoName : (error as Error).message
    throw new TsstackError('FAILED_PRECONDITION', `Cannot limit the writable layer: ${why}`, {
      cause: error,
      hint: 'It needs loop devices and ext4: load the module "loop", or remove "storage_opt:"',
    })
  }
  return directory
}

/** Lets go of it, so that its home can be removed; nothing to do where it is not mounted. */
export function closeLimitedDirectory(home: string): void {
  trySyscall('umount2', path.join(home, 'disk'), MNT_DETACH)
}
