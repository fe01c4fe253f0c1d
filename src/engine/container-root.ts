/**
 * The container's file tree as seen by the daemon before the container exists: a detached root mount, in which mount
 * points are looked up and made. Every path is resolved inside that root (openat2), because image and earlier runs are
 * hostile.
 */
import { closeSync, fstatSync, readSync } from 'node:fs'
import path from 'node:path'
import { O_DIRECTORY, Open } from '../kernel/constants.ts'
import { openConfined, RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import { syscall, SyscallError, trySyscall } from '../kernel/libc.ts'
import type { FdScope } from '../kernel/fd-scope.ts'
import { TsstackError } from '../errors.ts'

const ENOENT = 2
const EEXIST = 17
const MAX_FILE_BYTES = 1 << 20

export interface ContainerRoot {
  /** What the container will see. */
  readonly fd: number
  /** The same tree where the daemon may create: the mount itself, or below an ID-mapped one its source. */
  readonly creationFd: number
  /** Host id that owns what is created for the container's root. */
  readonly owner: number
}

/** Opens a path in the root as a location (O_PATH), making what is missing: directories, the last part as asked. */
export function openMountPoint(
  root: ContainerRoot,
  target: string,
  want: { readonly kind: 'directory' | 'file'; readonly scope: FdScope },
): number {
  const found = tryOpenConfined(root.fd, target, { flags: Open.PATH, resolve: RESOLVE.IN_ROOT })
  if (found >= 0) return checkKind(want.scope.add(found), target, want.kind)
  if (found !== -ENOENT) throw new SyscallError('openat2', -found, target)
  makePath(root, target, want.kind)
  const made = openConfined(root.fd, target, { flags: Open.PATH, resolve: RESOLVE.IN_ROOT })
  return checkKind(want.scope.add(made), target, want.kind)
}

function checkKind(fd: number, target: string, kind: 'directory' | 'file'): number {
  const isDirectory = fstatSync(fd).isDirectory()
  if (isDirectory === (kind === 'directory')) return fd
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot mount a ${kind} at "${target}": the image has a ${isDirectory ? 'directory' : 'file'} there`,
    { hint: `Mount it at another path, or mount a ${isDirectory ? 'directory' : 'file'}` },
  )
}

function makePath(root: ContainerRoot, target: string, kind: 'directory' | 'file'): void {
  const parts = target.split('/').filter((part) => part !== '')
  parts.forEach((_, index) => {
    const isLast = index === parts.length - 1
    const prefix = `/${parts.slice(0, index + 1).join('/')}`
    const existing = tryOpenConfined(root.creationFd, prefix, {
      flags: Open.PATH,
      resolve: RESOLVE.IN_ROOT,
    })
    if (existing >= 0) closeSync(existing)
    else makeEntry(root, prefix, isLast ? kind : 'directory')
  })
}

function makeEntry(root: ContainerRoot, entry: string, kind: 'directory' | 'file'): void {
  const how = { flags: Open.PATH | O_DIRECTORY, resolve: RESOLVE.IN_ROOT }
  const parent = openConfined(root.creationFd, path.posix.dirname(entry), how)
  try {
    const name = path.posix.basename(entry)
    const made = kind === 'directory' ? makeDirectory(parent, name, entry) : makeFile(parent, name)
    try {
      syscall('fchmod', made, kind === 'directory' ? 0o755 : 0o644) // whatever the umask is
      syscall('fchown', made, root.owner, root.owner)
    } finally {
      closeSync(made)
    }
  } finally {
    closeSync(parent)
  }
}

/** @returns the directory, opened; never what a symlink that was put in its place leads to */
function makeDirectory(parent: number, name: string, entry: string): number {
  const made = trySyscall('mkdirat', parent, name, 0o755)
  if (made < 0 && made !== -EEXIST) throw new SyscallError('mkdirat', -made, entry)
  return openConfined(parent, name, {
    flags: Open.RDONLY | O_DIRECTORY,
    resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS,
  })
}

function makeFile(parent: number, name: string): number {
  return syscall('openat', parent, name, Open.CREAT | Open.EXCL | Open.WRONLY | Open.CLOEXEC, 0o644)
}

/**
 * Reads a file of the container, at most 1 MiB.
 * @returns undefined when it is missing or not a regular file
 */
export function readContainerFile(rootFd: number, file: string): string | undefined {
  const flags = Open.RDONLY | Open.NONBLOCK | Open.NOCTTY // a fifo put there must not hang us
  const fd = tryOpenConfined(rootFd, file, { flags, resolve: RESOLVE.IN_ROOT })
  if (fd < 0) return undefined
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) return undefined
    const buffer = Buffer.alloc(Math.min(stat.size, MAX_FILE_BYTES))
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, buffer.length, 0))
  } finally {
    closeSync(fd)
  }
}

/** Makes a directory of the container, and those above it, where they are missing. */
export function ensureDirectory(root: ContainerRoot, directory: string): void {
  const found = tryOpenConfined(root.fd, directory, { flags: Open.PATH, resolve: RESOLVE.IN_ROOT })
  if (found >= 0) closeSync(found)
  else makePath(root, directory, 'directory')
}
