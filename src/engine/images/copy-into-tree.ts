/**
 * Writes an archive into the files of a container, which may run and be hostile: it may swap directories for links while
 * we write. Every path is resolved by the kernel with the container's root as root (openat2, RESOLVE_IN_ROOT), each
 * directory is then held by a descriptor, and what was made is changed by its descriptor, never by its name again.
 *
 * The rules are those of `docker cp`: directories are merged, other files are replaced, and neither takes the place of
 * the other.
 */
import fs from 'node:fs'
import os from 'node:os'
import { TsstackError } from '../../errors.ts'
import {
  makeNode,
  O_PATH,
  openConfined,
  RESOLVE,
  setXattr,
  tryOpenConfined,
} from '../../kernel/file-calls.ts'
import { withFileIds } from '../../kernel/file-ids.ts'
import { SyscallError } from '../../kernel/libc.ts'
import type { ByteSource } from './byte-source.ts'
import { cleanPath } from './confined-tree.ts'
import { isLayerXattr } from './layer-entry.ts'
import { createPacer } from './pacer.ts'
import { readTar, type TarEntry } from './tar-reader.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_TRUNC, O_WRONLY, S_IFIFO } = fs.constants
const { ENOENT } = os.constants.errno
const IN_ROOT = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS
const HERE = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS
const MAX_ID = 65_535
const CAPABILITY = 'security.capability'
const LACKS_XATTRS: readonly string[] = ['EOPNOTSUPP', 'ENOTSUP', 'EPERM', 'ENOENT']

export interface CopyTarget {
  /** A descriptor of the container's root. */
  readonly rootFd: number
  /** The directory of the container to write into; it must be there. */
  readonly directory: string
  /** The host's id that is the container's 0. */
  readonly owner: number
  /** Files belong to whom the archive says; else to the container's root. */
  readonly keepIds: boolean
}

function cannot(entry: TarEntry, state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot copy "${entry.path}": ${state}`)
}

/** What the kernel says is about the container's files: told as that. */
function explain(error: unknown, entry: TarEntry): unknown {
  if (error instanceof TsstackError && !(error instanceof SyscallError)) return error
  const name =
    error instanceof SyscallError ? error.errnoName : (error as NodeJS.ErrnoException).code
  const state = name === 'EROFS' ? 'the file system is read-only' : (name ?? String(error))
  return new TsstackError('FAILED_PRECONDITION', `Cannot copy "${entry.path}": ${state}`, {
    cause: error,
  })
}

/** A directory of the container, and the one that was entered last: archives go through them one by one. */
class Directories {
  readonly #target: CopyTarget
  #last: { readonly path: string; readonly fd: number } | undefined

  constructor(target: CopyTarget) {
    this.#target = target
  }

  /** @param components - below the target's directory; what is missing is made */
  enter(components: readonly string[]): number {
    const path = [this.#target.directory, ...components].join('/')
    if (this.#last?.path === path) return this.#last.fd
    const flags = O_PATH | O_DIRECTORY
    const found = tryOpenConfined(this.#target.rootFd, path, { flags, resolve: IN_ROOT })
    if (found >= 0) return this.#hold(path, found)
    if (found !== -ENOENT || components.length === 0)
      throw new SyscallError('openat2', -found, path)
    const parent = this.enter(components.slice(0, -1))
    return this.#hold(path, this.makeDirectory(parent, components.at(-1) ?? ''))
  }

  /** @returns a descriptor of the directory, whether it was there or not; the caller closes it */
  makeDirectory(parent: number, name: string): number {
    const path = `/proc/self/fd/${parent}/${name}`
    const isNew = withFileIds(this.#target.owner, () => {
      try {
        fs.mkdirSync(path, 0o755)
        return true
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
        throw error
      }
    })
    const fd = openConfined(parent, name, { flags: O_PATH | O_DIRECTORY, resolve: HERE })
    if (isNew) fs.chmodSync(`/proc/self/fd/${fd}`, 0o755)
    return fd
  }

  close(): void {
    if (this.#last !== undefined) fs.closeSync(this.#last.fd)
    this.#last = undefined
  }

  #hold(path: string, fd: number): number {
    this.close()
    this.#last = { path, fd }
    return fd
  }
}

class TreeWriter {
  readonly #target: CopyTarget
  readonly #directories: Directories
  readonly #times = new Map<string, number>()

  constructor(target: CopyTarget) {
    this.#target = target
    this.#directories = new Directories(target)
  }

  async take(entry: TarEntry): Promise<void> {
    const components = cleanPath(entry.path)
    const name = components.at(-1)
    if (name === undefined) return // the target itself stays as it is
    const parent = this.#directories.enter(components.slice(0, -1))
    const path = `/proc/self/fd/${parent}/${name}`
    if (entry.type === 'directory') {
      this.#takeDirectory(entry, parent, name)
      return
    }
    if (entry.type === 'char' || entry.type === 'block') throw cannot(entry, 'it is a device')
    const isKept = this.#makeWay(entry, path)
    if (entry.type === 'file') await this.#takeFile(entry, { parent, name, isKept })
    else this.#takeOther(entry, { parent, name, path })
  }

  /** Making what is in a directory changes its time: so they are set at the end. */
  finish(): void {
    const how = { flags: O_PATH | O_DIRECTORY, resolve: IN_ROOT }
    for (const [path, mtime] of this.#times) {
      const fd = tryOpenConfined(this.#target.rootFd, path, how)
      if (fd < 0) continue // the container has removed it meanwhile
      try {
        fs.utimesSync(`/proc/self/fd/${fd}`, mtime, mtime)
      } finally {
        fs.closeSync(fd)
      }
    }
  }

  close(): void {
    this.#directories.close()
  }

  /** @returns whether a file stays that can be written but not replaced: something is mounted on it */
  #makeWay(entry: TarEntry, path: string): boolean {
    const existing = fs.lstatSync(path, { throwIfNoEntry: false })
    if (existing === undefined) return false
    if (existing.isDirectory())
      throw cannot(entry, 'a directory is there, which a file does not replace')
    try {
      fs.unlinkSync(path)
      return false
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return false
      if (code === 'EBUSY' && entry.type === 'file') return true
      throw error
    }
  }

  #takeDirectory(entry: TarEntry, parent: number, name: string): void {
    const existing = fs.lstatSync(`/proc/self/fd/${parent}/${name}`, { throwIfNoEntry: false })
    if (existing !== undefined && !existing.isDirectory())
      throw cannot(entry, 'a file is there, which a directory does not replace')
    const fd = this.#directories.makeDirectory(parent, name)
    try {
      this.#applyAttributes(entry, `/proc/self/fd/${fd}`)
      this.#applyXattrs(entry, `/proc/self/fd/${fd}/.`)
    } finally {
      fs.closeSync(fd)
    }
    const components = [this.#target.directory, ...cleanPath(entry.path)]
    this.#times.set(components.join('/'), entry.mtime)
  }

  async #takeFile(
    entry: TarEntry,
    place: { readonly parent: number; readonly name: string; readonly isKept: boolean },
  ): Promise<void> {
    const fd = place.isKept ? openExisting(entry, place) : this.#create(place)
    try {
      for await (const chunk of entry.content())
        for (let at = 0; at < chunk.length;) at += fs.writeSync(fd, chunk, at)
      if (place.isKept) return
      this.#applyAttributes(entry, `/proc/self/fd/${fd}`)
      this.#applyXattrs(entry, `/proc/self/fd/${place.parent}/${place.name}`)
    } finally {
      fs.closeSync(fd)
    }
  }

  #create({ parent, name }: { readonly parent: number; readonly name: string }): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
    return withFileIds(this.#target.owner, () =>
      fs.openSync(`/proc/self/fd/${parent}/${name}`, flags, 0o600),
    )
  }

  #takeOther(
    entry: TarEntry,
    {
      parent,
      name,
      path,
    }: { readonly parent: number; readonly name: string; readonly path: string },
  ): void {
    if (entry.type === 'hardlink') {
      const target = cleanPath(entry.link)
      const from = openConfined(
        this.#target.rootFd,
        [this.#target.directory, ...target.slice(0, -1)].join('/'),
        { flags: O_PATH | O_DIRECTORY, resolve: IN_ROOT },
      )
      try {
        fs.linkSync(`/proc/self/fd/${from}/${target.at(-1) ?? ''}`, path)
      } finally {
        fs.closeSync(from)
      }
      return
    }
    withFileIds(this.#target.owner, () => {
      if (entry.type === 'symlink') fs.symlinkSync(entry.link, path)
      else makeNode(parent, name, { mode: S_IFIFO | (entry.mode & 0o777), major: 0, minor: 0 })
    })
    const { uid, gid } = this.#idsOf(entry)
    fs.lchownSync(path, uid, gid)
  }

  /** @param path - that of a descriptor */
  #applyAttributes(entry: TarEntry, path: string): void {
    const { uid, gid } = this.#idsOf(entry)
    fs.chownSync(path, uid, gid)
    fs.chmodSync(path, entry.mode)
    fs.utimesSync(path, entry.mtime, entry.mtime)
  }

  /**
   * What users attach to files; capabilities only where the container's ids are the file system's own, as in a volume: else
   * they would hold for another root than the container's.
   * @param at - not followed if it is a symlink, which only the container can have put there
   */
  #applyXattrs(entry: TarEntry, at: string): void {
    const { owner, keepIds } = this.#target
    for (const [name, value] of entry.xattrs) {
      const isMeant = name === CAPABILITY ? owner === 0 && keepIds : isLayerXattr(name)
      if (!isMeant) continue
      try {
        setXattr(at, name, value)
      } catch (error) {
        // A file system without room for attributes, such as an old tmpfs, takes the file all the same.
        if (!(error instanceof SyscallError) || !LACKS_XATTRS.includes(error.errnoName)) throw error
      }
    }
  }

  #idsOf(entry: TarEntry): { uid: number; gid: number } {
    const { keepIds, owner } = this.#target
    if (!keepIds) return { uid: owner, gid: owner }
    if (owner !== 0 && (entry.uid > MAX_ID || entry.gid > MAX_ID))
      throw cannot(
        entry,
        `it belongs to id ${Math.max(entry.uid, entry.gid)}, which the container does not have`,
      )
    return { uid: owner + entry.uid, gid: owner + entry.gid }
  }
}

/** A file that something is mounted on, as it is: only its content changes. */
function openExisting(
  entry: TarEntry,
  { parent, name }: { readonly parent: number; readonly name: string },
): number {
  const location = openConfined(parent, name, { flags: O_PATH | O_NOFOLLOW, resolve: HERE })
  try {
    if (!fs.fstatSync(location).isFile()) throw cannot(entry, 'something is mounted there')
    return fs.openSync(`/proc/self/fd/${location}`, O_WRONLY | O_TRUNC)
  } finally {
    fs.closeSync(location)
  }
}

/**
 * @throws {NOT_FOUND} the directory is not there, or is none
 * @throws {INVALID_ARGUMENT} the archive can't be, or a file and a directory would take each other's place
 * @throws {FAILED_PRECONDITION} the file system does not take it: read-only, full
 */
export async function copyIntoTree(source: ByteSource, target: CopyTarget): Promise<void> {
  const flags = O_PATH | O_DIRECTORY
  const found = tryOpenConfined(target.rootFd, target.directory, { flags, resolve: IN_ROOT })
  if (found < 0)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot copy to "${target.directory}": there is no such directory in the container`,
    )
  fs.closeSync(found)
  const writer = new TreeWriter(target)
  const pacer = createPacer()
  try {
    for await (const entry of readTar(source)) {
      await writer.take(entry).catch((error: unknown) => {
        throw explain(error, entry)
      })
      await pacer.breathe()
    }
    writer.finish()
  } finally {
    writer.close()
  }
}
