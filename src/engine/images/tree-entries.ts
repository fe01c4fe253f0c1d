/** Files on disk as the entries of a layer. */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { getXattr, listXattrs } from '../../kernel/file-calls.ts'
import { isOpaque } from './confined-tree.ts'
import { versionOf } from './host-file.ts'
import { compareEntries, isLayerXattr, type LayerEntry } from './layer-entry.ts'
import { createPacer } from './pacer.ts'

const MAX_ENTRIES = 500_000

interface Walk {
  readonly entries: LayerEntry[]
  readonly inputs: [path: string, version: string][]
  /** First name of each inode that has several. */
  readonly firsts: Map<bigint, string>
}

function xattrsOf(file: string): [name: string, value: Buffer][] {
  return listXattrs(file)
    .filter(isLayerXattr)
    .sort()
    .flatMap((name): [string, Buffer][] => {
      const value = getXattr(file, name)
      return value === undefined ? [] : [[name, value]]
    })
}

function entryOf(file: string, name: string, stats: fs.BigIntStats): LayerEntry | undefined {
  if (stats.isCharacterDevice() && stats.rdev === 0n)
    return { path: name, type: 'whiteout', mode: 0o644, uid: 0, gid: 0, mtime: 0 }
  const xattrs = stats.isFile() || stats.isDirectory() ? xattrsOf(file) : []
  const attributes = {
    path: name,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: Number(stats.mtimeNs / 1_000_000_000n),
    ...(xattrs.length === 0 ? {} : { xattrs }),
  }
  if (stats.isDirectory()) return { ...attributes, type: 'directory' }
  if (stats.isFile()) return { ...attributes, type: 'file', source: file, size: Number(stats.size) }
  if (stats.isFIFO()) return { ...attributes, type: 'fifo' }
  return stats.isSymbolicLink()
    ? { ...attributes, mode: 0o777, type: 'symlink', target: fs.readlinkSync(file) }
    : undefined
}

function visit(walk: Walk, file: string, name: string): boolean {
  const stats = fs.lstatSync(file, { bigint: true })
  walk.inputs.push([file, versionOf(stats)])
  const entry = entryOf(file, name, stats)
  if (entry === undefined) return false
  if (walk.entries.length >= MAX_ENTRIES) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot read file tree: it has more than ${MAX_ENTRIES} files`,
    )
  }
  walk.entries.push(entry)
  if (!stats.isDirectory()) return false
  if (isOpaque(file))
    walk.entries.push({ path: name, type: 'opaque', mode: 0o644, uid: 0, gid: 0, mtime: 0 })
  return true
}

/** In the order of a layer, the later names of an inode are links to the first. */
function linkTwins({ entries, firsts }: Walk): LayerEntry[] {
  return entries.sort(compareEntries).map((entry) => {
    if (entry.type !== 'file') return entry
    const { ino, nlink } = fs.lstatSync(entry.source, { bigint: true })
    const target = nlink > 1n ? firsts.get(ino) : undefined
    if (nlink > 1n && target === undefined) firsts.set(ino, entry.path)
    return target === undefined ? entry : { ...entry, type: 'hardlink', target }
  })
}

/** A tree as entries of a layer, in order, and the files that they were read of. */
export interface Tree {
  readonly entries: readonly LayerEntry[]
  readonly inputs: readonly (readonly [path: string, version: string])[]
}

/**
 * Reads a tree without its contents; what overlayfs hides by it is a whiteout. Devices and sockets are left out.
 * @throws {INVALID_ARGUMENT} more than 500,000 files
 */
export async function walkTree(root: string): Promise<Tree> {
  const walk: Walk = { entries: [], inputs: [], firsts: new Map() }
  const pacer = createPacer()
  visit(walk, root, '')
  const pending = ['']
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    for (const child of fs.readdirSync(path.join(root, current))) {
      const name = current === '' ? child : `${current}/${child}`
      if (visit(walk, path.join(root, name), name)) pending.push(name)
    }
    await pacer.breathe()
  }
  return { entries: linkTwins(walk), inputs: walk.inputs }
}
