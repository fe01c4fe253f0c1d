/**
 * One path of a project brought up to date in a container. What counts is how things are now, not what happened: what is
 * there is copied, what is not is removed; so it can be repeated, and the order of events does not matter.
 *
 * A file is written beside its place under another name and then put there by one rename: the container sees the old
 * content or the new, never a part. Needs no program in the image.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  futimesSync,
  openSync,
  readSync,
  writeSync,
  type Stats,
} from 'node:fs'
import os from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { Open } from '../../kernel/constants.ts'
import { openConfined, RESOLVE } from '../../kernel/file-calls.ts'
import { withFileOwner } from '../../kernel/file-owner.ts'
import { syscall, SyscallError, trySyscall } from '../../kernel/libc.ts'
import {
  findPlace,
  give,
  lookAt,
  makeDirectory,
  openPlace,
  removeEntry,
  type ContainerTree,
  type TreeOwner,
  type TreePlace,
} from './container-tree.ts'
import { openSource, readLink, type OpenedSource, type SyncSource } from './sync-source.ts'

const { EISDIR, ENOTEMPTY, EEXIST } = os.constants.errno
const CHUNK_BYTES = 256 << 10
/** Between two of these the event loop gets its turn. */
const CHUNKS_AT_ONCE = 8

export interface SyncEntry {
  readonly source: SyncSource
  /** Absolute path in the container. */
  readonly target: string
}

export type SyncOutcome = 'written' | 'removed' | 'unchanged'

type OpenedFile = Extract<OpenedSource, { kind: 'file' }>

/**
 * Makes the container's path as the host's is: content, mode and time of modification; owner is the container's user.
 * @throws {SYSCALL_FAILED} naming what can't be written
 */
export async function syncEntry(tree: ContainerTree, entry: SyncEntry): Promise<SyncOutcome> {
  const { target } = entry
  const source = openSource(entry.source)
  switch (source.kind) {
    case 'special':
      return 'unchanged'
    case 'missing':
      return removeTarget(tree, entry)
    case 'directory':
      return makeDirectory(tree, target, source.mode) ? 'written' : 'unchanged'
    case 'symlink':
      return putSymlink(tree, target, source.to)
    case 'file':
      try {
        return await putFile(tree, target, source)
      } finally {
        closeSync(source.fd)
      }
  }
}

/** The directory that a rule names as its target stays when its source goes: it may be a mount, or the root. */
function removeTarget(tree: ContainerTree, { source, target }: SyncEntry): SyncOutcome {
  const place = findPlace(tree, target)
  if (place === undefined) return 'unchanged'
  try {
    const found = lookAt(place)
    if (found === undefined) return 'unchanged'
    closeSync(found.fd)
    if (source.path === '' && !found.stats.isFile()) return 'unchanged'
    return removeEntry(place) ? 'removed' : 'unchanged'
  } finally {
    closeSync(place.directory)
  }
}

function putSymlink(tree: ContainerTree, target: string, to: string): SyncOutcome {
  const place = openPlace(tree, target)
  try {
    const found = lookAt(place)
    if (found !== undefined) {
      const same = found.stats.isSymbolicLink() && readLink(found.fd) === to
      closeSync(found.fd)
      if (same) return 'unchanged'
    }
    const { directory } = place
    const name = temporaryName()
    withFileOwner(tree.owner.root, () => {
      syscall('symlinkat', to, directory, name)
      syscall('fchownat', directory, name, tree.owner.uid, tree.owner.gid, AT_SYMLINK_NOFOLLOW)
      moveInto(place, name)
    })
    return 'written'
  } finally {
    closeSync(place.directory)
  }
}

const AT_SYMLINK_NOFOLLOW = 0x100 // include/uapi/linux/fcntl.h

async function putFile(
  tree: ContainerTree,
  target: string,
  source: OpenedFile,
): Promise<SyncOutcome> {
  const place = openPlace(tree, target)
  try {
    if (await isSame(place, source, tree.owner)) return 'unchanged'
    if (source.stats.size <= CHUNK_BYTES) putAtOnce(tree.owner, place, source)
    else await putInTurns(tree.owner, place, source)
    return 'written'
  } finally {
    closeSync(place.directory)
  }
}

/** To become another user, and oneself again, costs more than to write a small file: once is enough for all of it. */
function putAtOnce(owner: TreeOwner, place: TreePlace, source: OpenedFile): void {
  const name = temporaryName()
  withFileOwner(owner.root, () => {
    const fd = makeFile(place, name)
    try {
      const buffer = Buffer.allocUnsafe(source.stats.size + 1)
      while (copyChunk(source.fd, fd, buffer) > 0);
      complete(fd, owner, source.stats)
    } catch (error) {
      trySyscall('unlinkat', place.directory, name, 0)
      throw error
    } finally {
      closeSync(fd)
    }
    moveInto(place, name)
  })
}

async function putInTurns(owner: TreeOwner, place: TreePlace, source: OpenedFile): Promise<void> {
  const name = temporaryName()
  const fd = withFileOwner(owner.root, () => makeFile(place, name))
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
    for (let chunk = 1; copyChunk(source.fd, fd, buffer) > 0; chunk++)
      if (chunk % CHUNKS_AT_ONCE === 0) await setImmediate()
    complete(fd, owner, source.stats)
  } catch (error) {
    trySyscall('unlinkat', place.directory, name, 0)
    throw error
  } finally {
    closeSync(fd)
  }
  withFileOwner(owner.root, () => {
    moveInto(place, name)
  })
}

function makeFile({ directory }: TreePlace, name: string): number {
  return openConfined(directory, name, {
    flags: Open.CREAT | Open.EXCL | Open.WRONLY,
    mode: 0o600,
    resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS,
  })
}

/** @returns how many bytes there were; 0 at the end */
function copyChunk(from: number, to: number, buffer: Buffer): number {
  const count = readSync(from, buffer)
  for (let written = 0; written < count;) written += writeSync(to, buffer, written, count - written)
  return count
}

function complete(fd: number, owner: TreeOwner, { mode, atime, mtime }: Stats): void {
  give(fd, owner, mode & 0o7777)
  futimesSync(fd, atime, mtime)
}

const unique = randomBytes(8).toString('hex')
let made = 0

/** Editors and the container's own watchers pass over files with a dot in front. */
function temporaryName(): string {
  return `.tsstack-${unique}-${String(++made)}`
}

/** Puts what has been made at its place, and a directory that is there out of its way. */
function moveInto(place: TreePlace, name: string): void {
  const { directory } = place
  const rename = (): number => trySyscall('renameat2', directory, name, directory, place.name, 0)
  let result = rename()
  if (result === -EISDIR || result === -ENOTEMPTY || result === -EEXIST) {
    removeEntry(place)
    result = rename()
  }
  if (result >= 0) return
  trySyscall('unlinkat', directory, name, 0)
  throw new SyscallError('renameat2', -result, place.name)
}

/** Whether the container has the file already: its watchers and its build tools shall not see a change. */
async function isSame(place: TreePlace, source: OpenedFile, owner: TreeOwner): Promise<boolean> {
  const found = lookAt(place)
  if (found === undefined) return false
  try {
    const { stats } = found
    const isAlike =
      stats.isFile() &&
      stats.size === source.stats.size &&
      (stats.mode & 0o7777) === (source.stats.mode & 0o7777) &&
      stats.uid === owner.uid &&
      stats.gid === owner.gid
    return isAlike && (await haveSameContent(source, found.fd))
  } finally {
    closeSync(found.fd)
  }
}

async function haveSameContent(source: OpenedFile, location: number): Promise<boolean> {
  const fd = openSync(`/proc/self/fd/${location}`, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const { size } = source.stats
    const length = Math.min(CHUNK_BYTES, size)
    const ours = Buffer.allocUnsafe(length)
    const theirs = Buffer.allocUnsafe(length)
    for (let position = 0; position < size; position += length) {
      const count = readSync(source.fd, ours, 0, length, position)
      const other = readSync(fd, theirs, 0, length, position)
      if (!ours.subarray(0, count).equals(theirs.subarray(0, other))) return false
      if (position > 0) await setImmediate()
    }
    return true
  } finally {
    closeSync(fd)
  }
}
