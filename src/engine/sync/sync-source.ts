/** A file, directory or symlink of the user's project, opened so that no symlink on the way to it is followed. */
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { AT_FDCWD, O_DIRECTORY, Open } from '../../kernel/constants.ts'
import { RESOLVE, tryOpenConfined } from '../../kernel/file-calls.ts'
import { syscall, SyscallError } from '../../kernel/libc.ts'

const { ENOENT, ENOTDIR, ELOOP } = os.constants.errno
const MAX_LINK_BYTES = 4096 // PATH_MAX, include/uapi/linux/limits.h

/** What is to be copied: a path of the host, known by a directory that the user named and a path below it. */
export interface SyncSource {
  /** Absolute; a directory, or a single file. */
  readonly root: string
  /** Relative to it; empty for the root itself. */
  readonly path: string
}

/** A file is open for reading, at its beginning; the caller closes it. */
export type OpenedSource =
  | { readonly kind: 'missing' }
  | { readonly kind: 'directory'; readonly mode: number }
  | { readonly kind: 'symlink'; readonly to: string }
  | { readonly kind: 'file'; readonly fd: number; readonly stats: Stats }
  /** A socket, a fifo, a device: nothing that could be copied. */
  | { readonly kind: 'special' }

/** @throws {SYSCALL_FAILED} when it is there but cannot be opened */
export function openSource({ root, path: below }: SyncSource): OpenedSource {
  const directory = below === '' ? path.posix.dirname(root) : root
  const flags = Open.PATH | O_DIRECTORY
  const base = tryOpenConfined(AT_FDCWD, directory, { flags, resolve: 0 })
  if (base < 0) return missingOr(base, directory)
  try {
    return openBelow(base, below === '' ? path.posix.basename(root) : below)
  } finally {
    closeSync(base)
  }
}

function openBelow(base: number, name: string): OpenedSource {
  const location = tryOpenConfined(base, name, {
    flags: Open.PATH | constants.O_NOFOLLOW,
    resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS,
  })
  if (location < 0) return missingOr(location, name)
  try {
    const stats = fstatSync(location)
    if (stats.isDirectory()) return { kind: 'directory', mode: stats.mode & 0o7777 }
    if (stats.isSymbolicLink()) return { kind: 'symlink', to: readLink(location) }
    if (!stats.isFile()) return { kind: 'special' }
    return { kind: 'file', fd: openSync(`/proc/self/fd/${location}`, 'r'), stats }
  } finally {
    closeSync(location)
  }
}

/** A directory on the way that has become something else is gone, too: ELOOP is a symlink in its place. */
function missingOr(result: number, name: string): OpenedSource {
  if (result === -ENOENT || result === -ENOTDIR || result === -ELOOP) return { kind: 'missing' }
  throw new SyscallError('openat2', -result, name)
}

/** Where a symlink leads, of its location. */
export function readLink(location: number): string {
  const buffer = Buffer.alloc(MAX_LINK_BYTES)
  return buffer.toString('utf8', 0, syscall('readlinkat', location, '', buffer, buffer.length))
}
