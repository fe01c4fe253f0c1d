/**
 * What a container has changed of its image: added, changed and deleted files, as `docker diff` tells them, and each as
 * the entry that it is in a layer (https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md, "Change Types").
 *
 * The container may run meanwhile: see tree-reader.ts. Its tree is either the upper directory of an overlay mount, in
 * which everything is a change, or a whole tree, in which a file is changed if its attributes are, or if the kernel
 * has noted a change since the tree was made: the time of that (st_ctim) can't be set by a program.
 */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { isOpaque, isWhiteout } from './confined-tree.ts'
import type { LayerEntry } from './layer-entry.ts'
import type { LayerView, LowerDirectory } from './layer-view.ts'
import { readLayerXattrs } from './layer-xattrs.ts'
import { createPacer, type Pacer } from './pacer.ts'
import { readLink, unlessGone, type TreeReader } from './tree-reader.ts'

type ChangeKind = 'added' | 'changed' | 'deleted'

export interface Change {
  readonly kind: ChangeKind
  /** Relative to the root. */
  readonly path: string
  /** Absent for what no layer can have: sockets and devices. */
  readonly entry?: LayerEntry
}

export interface ChangesOptions {
  /** The host's id that is the container's 0: the start of its stack's range; 0 where files have the container's ids. */
  readonly owner: number
  /** Milliseconds since the epoch: the tree is a whole one, made at that time. Absent: an upper directory. */
  readonly wholeSince?: number
}

const MAX_CHANGES = 1_000_000
const MAX_ID = 65_535

/** What the engine makes in the root of a container where the image lacks it, to mount something there. */
const MOUNT_POINTS: ReadonlySet<string> = new Set([
  ...['proc', 'sys', 'dev', 'dev/pts', 'dev/shm', 'dev/mqueue'],
  ...['etc/hosts', 'etc/hostname', 'etc/resolv.conf'],
])

interface Child {
  readonly name: string
  readonly path: string
  readonly stats: fs.Stats
  readonly entry: LayerEntry | undefined
  readonly isOpaque: boolean
}

interface Place {
  readonly path: string
  /** What the image has there. */
  readonly lower: LowerDirectory | undefined
  /** Whether a file of the image that is missing here is deleted. */
  readonly isComplete: boolean
}

function layerId(id: number, file: string, owner: number): number {
  const own = id - owner
  if (owner === 0 || (own >= 0 && own <= MAX_ID)) return own
  const state = `it belongs to id ${id} of the host, which the container does not have`
  throw new TsstackError('FAILED_PRECONDITION', `Cannot read "/${file}": ${state}`)
}

/** One file as an entry of a layer. @param at - its path for calls that do not follow links */
function entryOfFile(
  at: string,
  file: string,
  { stats, owner }: { readonly stats: fs.Stats; readonly owner: number },
): LayerEntry | undefined {
  const xattrs = stats.isFile() || stats.isDirectory() ? readLayerXattrs(at, owner) : []
  const attributes = {
    path: file,
    mode: stats.mode & 0o7777,
    uid: layerId(stats.uid, file, owner),
    gid: layerId(stats.gid, file, owner),
    mtime: Math.floor(stats.mtimeMs / 1000),
    ...(xattrs.length === 0 ? {} : { xattrs }),
  }
  if (stats.isDirectory()) return { ...attributes, type: 'directory' }
  if (stats.isFile()) return { ...attributes, type: 'file', source: file, size: stats.size }
  if (stats.isFIFO()) return { ...attributes, type: 'fifo' }
  if (!stats.isSymbolicLink()) return undefined
  return { ...attributes, mode: 0o777, type: 'symlink', target: readLink(at) }
}

function differs({ stats, entry }: Child, lower: fs.Stats): boolean {
  if (((stats.mode ^ lower.mode) & ~fs.constants.S_IFMT) !== 0) return true
  if (entry === undefined) return stats.rdev !== lower.rdev
  return entry.uid !== lower.uid || entry.gid !== lower.gid
}

function fileDiffers(child: Child, lower: fs.Stats, since: number): boolean {
  const { stats } = child
  if (stats.ctimeMs > since || differs(child, lower)) return true
  if (((stats.mode ^ lower.mode) & fs.constants.S_IFMT) !== 0) return true
  const hasSameTime = Math.floor(stats.mtimeMs / 1000) === Math.floor(lower.mtimeMs / 1000)
  return stats.size !== lower.size || !hasSameTime
}

function deletion(file: string): Change {
  const entry = { type: 'whiteout', path: file, mode: 0o644, uid: 0, gid: 0, mtime: 0 } as const
  return { kind: 'deleted', path: file, entry }
}

class Comparison {
  readonly #reader: TreeReader
  readonly #view: LayerView
  readonly #options: ChangesOptions
  readonly #pacer: Pacer = createPacer()
  #count = 0

  constructor(reader: TreeReader, view: LayerView, options: ChangesOptions) {
    this.#reader = reader
    this.#view = view
    this.#options = options
  }

  async ofDirectory({ path: directory, lower, isComplete }: Place): Promise<Change[]> {
    const children = this.#children(directory)
    const changes: Change[] = []
    for (const child of children)
      for (const change of await this.#ofChild(child, { path: directory, lower, isComplete }))
        changes.push(change)
    if (isComplete && lower !== undefined) {
      const present = new Set(children.map(({ name }) => name))
      for (const name of this.#view.names(lower))
        if (!present.has(name)) changes.push(deletion(path.posix.join(directory, name)))
    }
    this.#count += changes.length
    if (this.#count > MAX_CHANGES) {
      const state = `more than ${MAX_CHANGES} files have changed`
      throw new TsstackError('INVALID_ARGUMENT', `Cannot compare file tree: ${state}`)
    }
    await this.#pacer.breathe()
    return changes.sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  #children(directory: string): Child[] {
    const { owner } = this.#options
    const look = (at: string, name: string): Child | undefined =>
      unlessGone(() => {
        const file = path.posix.join(directory, name)
        const stats = fs.lstatSync(at)
        const entry = isWhiteout(stats) ? undefined : entryOfFile(at, file, { stats, owner })
        const isHiding = stats.isDirectory() && isOpaque(at)
        return { name, path: file, stats, entry, isOpaque: isHiding }
      })
    const found = this.#reader.inDirectory(directory, ({ names, at }) =>
      names.flatMap((name) => look(at(name), name) ?? []),
    )
    return found ?? []
  }

  #ofChild(child: Child, { lower, isComplete }: Place): Change[] | Promise<Change[]> {
    const below = lower === undefined ? undefined : this.#view.find(lower, child.name)
    if (isWhiteout(child.stats)) return below === undefined ? [] : [deletion(child.path)]
    if (child.stats.isDirectory()) {
      const isMerged = lower !== undefined && below?.isDirectory() === true
      return this.#ofSubdirectory(child, below, {
        path: child.path,
        lower: isMerged ? this.#view.enter(lower, child.name) : undefined,
        isComplete: isComplete || child.isOpaque,
      })
    }
    if (below === undefined) return this.#isMountPoint(child) ? [] : [changeOf(child, 'added')]
    const { wholeSince } = this.#options
    const isChanged = wholeSince === undefined || fileDiffers(child, below, wholeSince)
    return isChanged ? [changeOf(child, 'changed')] : []
  }

  async #ofSubdirectory(
    child: Child,
    below: fs.Stats | undefined,
    place: Place,
  ): Promise<Change[]> {
    const inner = await this.ofDirectory(place)
    if (below === undefined) {
      if (inner.length === 0 && this.#isMountPoint(child)) return []
      return [changeOf(child, 'added'), ...inner]
    }
    const isSame =
      below.isDirectory() && !differs(child, below) && child.entry?.xattrs === undefined
    return inner.length === 0 && isSame ? [] : [changeOf(child, 'changed'), ...inner]
  }

  #isMountPoint({ path: file, stats }: Child): boolean {
    return MOUNT_POINTS.has(file) && (stats.isDirectory() || (stats.isFile() && stats.size === 0))
  }
}

function changeOf({ path: file, entry }: Child, kind: ChangeKind): Change {
  return { kind, path: file, ...(entry === undefined ? {} : { entry }) }
}

/**
 * The changes, each directory before what is in it.
 * @param reader - of the container's tree
 * @param view - of its image
 * @throws {INVALID_ARGUMENT} a name is not UTF-8, or there are too many changes
 * @throws {FAILED_PRECONDITION} a file belongs to nobody that the container knows
 */
export function findChanges(
  reader: TreeReader,
  view: LayerView,
  options: ChangesOptions,
): Promise<Change[]> {
  const isComplete = options.wholeSince !== undefined
  const place = { path: '', lower: view.root(), isComplete }
  return new Comparison(reader, view, options).ofDirectory(place)
}

/** The root directory's own entry: every layer has it. */
export function rootEntry(reader: TreeReader, { owner }: ChangesOptions): LayerEntry {
  const stats = fs.lstatSync(reader.root)
  const entry = entryOfFile(reader.root, '', { stats, owner })
  if (entry === undefined) throw new TsstackError('INTERNAL', 'Cannot read the root of a file tree')
  return entry
}
