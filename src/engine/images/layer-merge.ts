/**
 * Lays an extracted layer over a tree, as overlayfs would show it: whiteouts remove, opaque directories replace, the
 * rest is copied with owners, modes, times, extended attributes and hard links. Files are cloned where the file system
 * can. Symlinks of either side are never followed: each directory is looked at before it is entered.
 */
import fs from 'node:fs'
import path from 'node:path'
import { getXattr, listXattrs, makeNode, setXattr } from '../../kernel/file-calls.ts'
import { isOpaque, isWhiteout } from './confined-tree.ts'
import { createPacer, type Pacer } from './pacer.ts'

/** Up to this size a file is copied on the spot; above, on a thread of the pool. */
const SMALL_FILE_BYTES = 64 << 10

const AT_FDCWD = -100

const COPY = fs.constants.COPYFILE_FICLONE | fs.constants.COPYFILE_EXCL

interface Merge {
  readonly pacer: Pacer
  /** First copy of each inode that has several names. */
  readonly copies: Map<number, string>
}

function copyAttributes(source: string, target: string, stats: fs.Stats): void {
  fs.lchownSync(target, stats.uid, stats.gid)
  if (!stats.isSymbolicLink()) fs.chmodSync(target, stats.mode & 0o7777)
  for (const name of listXattrs(source)) {
    if (name.startsWith('trusted.overlay.')) continue
    const value = getXattr(source, name)
    if (value !== undefined) setXattr(target, name, value)
  }
  fs.lutimesSync(target, stats.atimeMs / 1000, stats.mtimeMs / 1000)
}

async function copyFile(source: string, target: string, stats: fs.Stats): Promise<void> {
  if (stats.size <= SMALL_FILE_BYTES) fs.copyFileSync(source, target, COPY)
  else await fs.promises.copyFile(source, target, COPY)
}

async function copyNode(
  merge: Merge,
  source: string,
  target: string,
  stats: fs.Stats,
): Promise<void> {
  const twin = stats.nlink > 1 ? merge.copies.get(stats.ino) : undefined
  if (twin !== undefined) {
    fs.linkSync(twin, target)
    return
  }
  if (stats.nlink > 1) merge.copies.set(stats.ino, target)
  if (stats.isFile()) await copyFile(source, target, stats)
  else if (stats.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(source), target)
  else if (!stats.isSocket()) {
    const [major, minor] = [
      (stats.rdev >> 8) & 0xfff,
      (stats.rdev & 0xff) | ((stats.rdev >> 12) & 0xfff00),
    ]
    makeNode(AT_FDCWD, target, { mode: stats.mode, major, minor })
  } else return
  copyAttributes(source, target, stats)
}

/** Makes way for what the layer has. @returns whether a directory stays that the layer's is merged into */
function makeWay(source: string, target: string, stats: fs.Stats): boolean {
  const existing = fs.lstatSync(target, { throwIfNoEntry: false })
  if (existing === undefined) return false
  if (stats.isDirectory() && existing.isDirectory() && !isOpaque(source)) return true
  fs.rmSync(target, { recursive: true, force: true })
  return false
}

async function mergeDirectory(merge: Merge, source: string, target: string): Promise<void> {
  for (const name of fs.readdirSync(source)) {
    const from = path.join(source, name)
    const to = path.join(target, name)
    const stats = fs.lstatSync(from)
    const isMerged = makeWay(from, to, stats)
    await merge.pacer.breathe()
    if (isWhiteout(stats)) continue
    if (!stats.isDirectory()) {
      await copyNode(merge, from, to, stats)
      continue
    }
    if (!isMerged) fs.mkdirSync(to, 0o700)
    await mergeDirectory(merge, from, to)
    copyAttributes(from, to, stats) // last: its time changes with its content
  }
}

/**
 * @param layer - an extracted layer; undefined stands for an empty one
 * @param target - made if it is missing; nobody else may write there meanwhile
 */
export async function mergeLayer(layer: string | undefined, target: string): Promise<void> {
  fs.mkdirSync(target, { recursive: true })
  if (layer === undefined) {
    fs.chmodSync(target, 0o755)
    return
  }
  if (isOpaque(layer)) {
    for (const name of fs.readdirSync(target))
      fs.rmSync(path.join(target, name), { recursive: true })
  }
  await mergeDirectory({ pacer: createPacer(), copies: new Map() }, layer, target)
  copyAttributes(layer, target, fs.lstatSync(layer))
}
