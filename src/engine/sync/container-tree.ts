/**
 * The file tree of a container that runs, as a place to put files in. Whatever is in it may be hostile and changes
 * meanwhile: paths are resolved by the kernel with the container's root as root (openat2, RESOLVE_IN_ROOT), a directory
 * once found is held by its descriptor, and the last component is never followed.
 */
import { closeSync, constants, fstatSync, readdirSync, type Stats } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { O_DIRECTORY, Open } from '../../kernel/constants.ts'
import { openConfined, RESOLVE, tryOpenConfined } from '../../kernel/file-calls.ts'
import { withFileOwner } from '../../kernel/file-owner.ts'
import { syscall, SyscallError, trySyscall } from '../../kernel/libc.ts'

const { EEXIST, ENOENT, ENOTDIR, EISDIR, EPERM } = os.constants.errno
const AT_REMOVEDIR = 0x200 // include/uapi/linux/fcntl.h
const DIRECTORY = {
  flags: Open.PATH | O_DIRECTORY,
  resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS,
}
/** One component: it is what the directory has under this name, and no other mount. */
const ENTRY = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS
const DEFAULT_DIRECTORY_MODE = 0o755

/** Host ids. */
export interface TreeOwner {
  /** Of the container's root: whoever makes a file in an ID-mapped mount must be one of its ids. */
  readonly root: number
  /** Of the user as which the container's program runs. */
  readonly uid: number
  readonly gid: number
}

export interface ContainerTree {
  /** The container's root directory, by descriptor; whoever opened it closes it. */
  readonly rootFd: number
  readonly owner: TreeOwner
}

/** A name in a directory that is held by a descriptor. */
export interface TreePlace {
  readonly directory: number
  readonly name: string
}

/**
 * The place of an absolute path; directories on the way that are missing are made. The caller closes its directory.
 * @throws {SYSCALL_FAILED}
 */
export function openPlace(tree: ContainerTree, target: string): TreePlace {
  const { parent, name } = split(target)
  return { directory: enter(tree, parent), name }
}

/** As `openPlace`, but nothing is made: undefined where the directory is missing. */
export function findPlace(tree: ContainerTree, target: string): TreePlace | undefined {
  const { parent, name } = split(target)
  const directory = tryOpenConfined(tree.rootFd, parent, DIRECTORY)
  if (directory >= 0) return { directory, name }
  if (directory === -ENOENT || directory === -ENOTDIR) return undefined
  throw new SyscallError('openat2', -directory, parent)
}

function split(target: string): { readonly parent: string; readonly name: string } {
  const clean = path.posix.resolve('/', target)
  return { parent: path.posix.dirname(clean), name: path.posix.basename(clean) }
}

function enter(tree: ContainerTree, directory: string): number {
  const found = tryOpenConfined(tree.rootFd, directory, DIRECTORY)
  if (found >= 0) return found
  if (found !== -ENOENT) throw new SyscallError('openat2', -found, directory)
  makeDirectory(tree, directory, DEFAULT_DIRECTORY_MODE)
  return openConfined(tree.rootFd, directory, DIRECTORY)
}

/**
 * Makes a directory where there is none, also below a symlink to one; what else is there goes.
 * @returns whether it was made
 */
export function makeDirectory(tree: ContainerTree, target: string, mode: number): boolean {
  const found = tryOpenConfined(tree.rootFd, target, DIRECTORY)
  if (found >= 0) {
    closeSync(found)
    return false
  }
  const place = openPlace(tree, target)
  try {
    if (found === -ENOTDIR) removeEntry(place)
    const made = withFileOwner(tree.owner.root, () =>
      trySyscall('mkdirat', place.directory, place.name, mode),
    )
    if (made === -EEXIST) return false // somebody was faster; a dangling symlink is told when it is entered
    if (made < 0) throw new SyscallError('mkdirat', -made, target)
    const fd = openConfined(place.directory, place.name, {
      flags: Open.RDONLY | O_DIRECTORY,
      resolve: ENTRY,
    })
    try {
      give(fd, tree.owner, mode)
    } finally {
      closeSync(fd)
    }
    return true
  } finally {
    closeSync(place.directory)
  }
}

/** Owner first: a change of owner takes set-user-ID away. */
export function give(fd: number, { uid, gid }: TreeOwner, mode: number): void {
  syscall('fchown', fd, uid, gid)
  syscall('fchmod', fd, mode)
}

/** What is at a place, as a location (O_PATH) that the caller closes; a symlink is not followed. */
export function lookAt({
  directory,
  name,
}: TreePlace): { readonly fd: number; readonly stats: Stats } | undefined {
  const flags = Open.PATH | constants.O_NOFOLLOW
  const fd = tryOpenConfined(directory, name, { flags, resolve: ENTRY })
  if (fd === -ENOENT) return undefined
  if (fd < 0) throw new SyscallError('openat2', -fd, name)
  return { fd, stats: fstatSync(fd) }
}

/**
 * Removes what is at a place, with all below it, but nothing that is mounted there.
 * @returns whether there was something
 * @throws {SYSCALL_FAILED} EBUSY for a mount
 */
export function removeEntry({ directory, name }: TreePlace): boolean {
  const unlinked = trySyscall('unlinkat', directory, name, 0)
  if (unlinked === -ENOENT) return false
  if (unlinked >= 0) return true
  if (unlinked !== -EISDIR && unlinked !== -EPERM)
    throw new SyscallError('unlinkat', -unlinked, name)
  const below = openConfined(directory, name, {
    flags: Open.RDONLY | O_DIRECTORY | constants.O_NOFOLLOW,
    resolve: ENTRY | RESOLVE.NO_XDEV,
  })
  try {
    // The descriptor's own path is the directory itself, whatever has been renamed.
    for (const child of readdirSync(`/proc/self/fd/${below}`))
      removeEntry({ directory: below, name: child })
  } finally {
    closeSync(below)
  }
  syscall('unlinkat', directory, name, AT_REMOVEDIR)
  return true
}
