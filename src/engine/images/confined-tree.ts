/**
 * A directory into which names from an archive are written. Every name is resolved by the kernel with this directory as
 * root (openat2, RESOLVE_IN_ROOT): neither `..` nor a symlink, absolute or not, nor one that the archive has just made,
 * leads out of it. The last component is never followed.
 *
 * A resolved parent is held by a descriptor and its children are reached by `/proc/self/fd/N/name`, which lets Node's
 * own calls work on them.
 */
import fs from 'node:fs'
import os from 'node:os'
import { TsstackError } from '../../errors.ts'
import {
  getXattr,
  makeNode,
  O_PATH,
  openConfined,
  RESOLVE,
  setXattr,
  tryOpenConfined,
} from '../../kernel/file-calls.ts'

const { O_DIRECTORY, S_IFCHR } = fs.constants
const { ENOENT, ENOTDIR } = os.constants.errno
const OPEN_DIRECTORY = {
  flags: O_PATH | O_DIRECTORY,
  resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS,
}
const MAX_HELD = 32

/** A place for one file: the descriptor of its directory, its name, and a path that names it to Node's calls. */
export interface Place {
  readonly parent: number
  readonly name: string
  readonly path: string
}

/** An attribute of directories, set by overlayfs and for it. */
export const OPAQUE_XATTR = 'trusted.overlay.opaque'

/** Whether a file hides what lower layers have at its place (Documentation/filesystems/overlayfs.rst). */
export function isWhiteout(stats: fs.Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0
}

/** Marks a directory so that overlayfs shows nothing of lower layers in it. */
export function setOpaque(directory: string): void {
  setXattr(`${directory}/.`, OPAQUE_XATTR, Buffer.from('y'))
}

/** Whether a directory hides what lower layers have in it. */
export function isOpaque(directory: string): boolean {
  return getXattr(directory, OPAQUE_XATTR)?.toString() === 'y'
}

/** A path of an archive as components: no empty ones, no `.`. @throws {INVALID_ARGUMENT} with a `..` */
export function cleanPath(path: string): string[] {
  const components = path.split('/').filter((component) => component !== '' && component !== '.')
  if (!components.includes('..')) return components
  throw new TsstackError('INVALID_ARGUMENT', `Cannot unpack "${path}": it leaves the root`)
}

/** Holds descriptors until it is closed. */
export class ConfinedTree {
  readonly #root: number
  readonly #held = new Map<string, number>()

  constructor(root: string) {
    this.#root = fs.openSync(root, O_PATH | O_DIRECTORY)
  }

  close(): void {
    this.#release()
    fs.closeSync(this.#root)
  }

  /** The place of a path; directories on the way that are missing are made. @param components - not empty */
  place(components: readonly string[]): Place {
    return this.#placeIn(this.#enter(components.slice(0, -1)), components)
  }

  /** As `place`, but nothing is made. */
  existing(components: readonly string[]): Place {
    const parents = components.slice(0, -1).join('/')
    const held = this.#find(parents)
    if (held !== undefined) return this.#placeIn(held, components)
    return this.#placeIn(
      this.#hold(parents, openConfined(this.#root, parents || '.', OPEN_DIRECTORY)),
      components,
    )
  }

  /** Removes what is at a place, with all below it. */
  clear(place: Place): void {
    const { parent } = place
    fs.rmSync(place.path, { recursive: true, force: true })
    // Descriptors of directories that are gone must not be found by their names again.
    for (const [key, fd] of this.#held) {
      if (fd === parent) continue
      fs.closeSync(fd)
      this.#held.delete(key)
    }
  }

  makeWhiteout({ parent, name }: Place): void {
    makeNode(parent, name, { mode: S_IFCHR, major: 0, minor: 0 })
  }

  #placeIn(parent: number, components: readonly string[]): Place {
    const name = components.at(-1) ?? ''
    return { parent, name, path: `/proc/self/fd/${parent}/${name}` }
  }

  #release(): void {
    for (const fd of this.#held.values()) fs.closeSync(fd)
    this.#held.clear()
  }

  /** The least recently used goes first: the two that an operation works with are always among the newest. */
  #hold(key: string, fd: number): number {
    for (const [oldest, other] of this.#held) {
      if (this.#held.size < MAX_HELD) break
      fs.closeSync(other)
      this.#held.delete(oldest)
    }
    this.#held.set(key, fd)
    return fd
  }

  #find(key: string): number | undefined {
    const fd = this.#held.get(key)
    if (fd === undefined) return undefined
    this.#held.delete(key)
    this.#held.set(key, fd)
    return fd
  }

  #enter(directory: readonly string[]): number {
    const key = directory.join('/')
    const held = this.#find(key)
    if (held !== undefined) return held
    const fd = tryOpenConfined(this.#root, key === '' ? '.' : key, OPEN_DIRECTORY)
    if (fd >= 0) return this.#hold(key, fd)
    if (fd === -ENOENT || fd === -ENOTDIR) this.#makeDirectory(directory)
    return this.#hold(key, openConfined(this.#root, key, OPEN_DIRECTORY))
  }

  /** A directory that the archive takes for granted; one that the same layer has deleted starts empty. */
  #makeDirectory(directory: readonly string[]): void {
    if (directory.length === 0) return
    const place = this.place(directory)
    const stats = fs.lstatSync(place.path, { throwIfNoEntry: false })
    const wasDeleted = stats !== undefined && isWhiteout(stats)
    if (wasDeleted) this.clear(place)
    else if (stats !== undefined) return // a file or a dangling link: opening it gives the error
    fs.mkdirSync(place.path, 0o755)
    fs.chmodSync(place.path, 0o755)
    if (wasDeleted) setOpaque(place.path)
  }
}
