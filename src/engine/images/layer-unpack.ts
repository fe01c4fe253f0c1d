/**
 * Unpacks one layer (https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md) into a directory. The archive is
 * taken to be hostile: names are confined (confined-tree.ts), devices refused, sizes bounded; nothing that overlayfs
 * would take for its own comes from the archive. Whiteouts become overlayfs's.
 */
import fs from 'node:fs'
import { TsstackError } from '../../errors.ts'
import { makeNode, setXattr } from '../../kernel/file-calls.ts'
import type { ByteSource } from './byte-source.ts'
import { cleanPath, ConfinedTree, isWhiteout, setOpaque, type Place } from './confined-tree.ts'
import { FreshAttributes } from './fresh-attributes.ts'
import { isLayerXattr } from './layer-entry.ts'
import { createPacer } from './pacer.ts'
import { DEFAULT_TAR_LIMITS, readTar, type TarEntry, type TarLimits } from './tar-reader.ts'

export interface UnpackOptions {
  /** Default: 1,000,000 entries, 64 GiB. */
  readonly limits?: TarLimits
  /** Make device nodes. Default: false, they are refused. */
  readonly allowDevices?: boolean
  /** false: the archive is no layer, and a file named `.wh.x` is a file. Default: true. */
  readonly whiteouts?: boolean
}

export interface UnpackResult {
  /** Bytes of the regular files. */
  readonly fileBytes: number
}

const WHITEOUT = '.wh.'
const OPAQUE_WHITEOUT = '.wh..wh..opq'
/** Other names that begin so are aufs's own bookkeeping. */
const AUFS = '.wh..wh.'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO } = fs.constants

function refuse(entry: TarEntry, state: string, hint?: string): TsstackError {
  const options = hint === undefined ? {} : { hint }
  return new TsstackError('INVALID_ARGUMENT', `Cannot unpack "${entry.path}": ${state}`, options)
}

/** Failures of the kernel that speak of the archive are the archive's fault; a full disk is not. */
function explain(error: unknown, entry: TarEntry): TsstackError {
  if (error instanceof TsstackError && error.code !== 'SYSCALL_FAILED') return error
  const { code, errnoName } = error as { code?: string; errnoName?: string }
  const name = errnoName ?? code ?? String(error)
  if (name === 'ENOSPC' || name === 'EDQUOT') {
    const hint = 'Free space on the file system of the state directory'
    return new TsstackError('FAILED_PRECONDITION', `Cannot unpack "${entry.path}": ${name}`, {
      hint,
      cause: error,
    })
  }
  if (['EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'EROFS', 'EPERM'].includes(name)) {
    return new TsstackError('SYSCALL_FAILED', `Cannot unpack "${entry.path}": ${name}`, {
      cause: error,
    })
  }
  return new TsstackError('INVALID_ARGUMENT', `Cannot unpack "${entry.path}": ${name}`, {
    cause: error,
  })
}

function exists(error: unknown): boolean {
  return ['EEXIST', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
}

interface Target {
  readonly tree: ConfinedTree
  readonly fresh: FreshAttributes
}

/** Runs `make`; if something is in its place, that goes first: a later entry replaces an earlier one. */
function replacing<T>(tree: ConfinedTree, place: Place, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (!exists(error)) throw error
    tree.clear(place)
    return make()
  }
}

/** Owner, then mode (chown clears setuid), then attributes (chown clears capabilities), then time. */
function applyAttributes(entry: TarEntry, path: string): void {
  fs.lchownSync(path, entry.uid, entry.gid)
  if (entry.type !== 'symlink') fs.chmodSync(path, entry.mode)
  finishAttributes(entry, path)
}

/** Of something that was just made, with the entry's mode. */
function applyToFresh(fresh: FreshAttributes, entry: TarEntry, path: string): void {
  if (!fresh.hasOwner(entry)) fs.lchownSync(path, entry.uid, entry.gid)
  if (entry.type !== 'symlink' && !fresh.hasMode(entry)) fs.chmodSync(path, entry.mode)
  finishAttributes(entry, path)
}

function finishAttributes(entry: TarEntry, path: string): void {
  for (const [name, value] of entry.xattrs) {
    if (isLayerXattr(name)) setXattr(path, name, value)
  }
  if (entry.type !== 'directory') fs.lutimesSync(path, entry.mtime, entry.mtime)
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at)
}

/** A file that is neither setuid nor setgid as long as it is ours. */
function createFile({ tree, fresh }: Target, entry: TarEntry, place: Place): number {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
  const mode = fresh.hasMode(entry) ? entry.mode : 0o600
  return replacing(tree, place, () => fs.openSync(place.path, flags, mode))
}

function finishFile(fresh: FreshAttributes, fd: number, entry: TarEntry, place: Place): void {
  if (!fresh.hasOwner(entry)) fs.fchownSync(fd, entry.uid, entry.gid)
  if (!fresh.hasMode(entry)) fs.fchmodSync(fd, entry.mode)
  for (const [name, value] of entry.xattrs) {
    if (isLayerXattr(name)) setXattr(place.path, name, value)
  }
  fs.futimesSync(fd, entry.mtime, entry.mtime)
}

/** @returns undefined when it is written, which it is at once if its content is at hand */
function writeFile(target: Target, entry: TarEntry, place: Place): Promise<void> | undefined {
  const whole = entry.contentAtHand()
  if (whole === undefined) return writeLongFile(target, entry, place)
  const fd = createFile(target, entry, place)
  try {
    writeAll(fd, whole)
    finishFile(target.fresh, fd, entry, place)
  } finally {
    fs.closeSync(fd)
  }
  return undefined
}

async function writeLongFile(target: Target, entry: TarEntry, place: Place): Promise<void> {
  const fd = createFile(target, entry, place)
  try {
    for await (const chunk of entry.content()) writeAll(fd, chunk)
    finishFile(target.fresh, fd, entry, place)
  } finally {
    fs.closeSync(fd)
  }
}

function makeDirectory({ tree, fresh }: Target, entry: TarEntry, place: Place): void {
  const stats = fs.lstatSync(place.path, { throwIfNoEntry: false })
  fresh.sawDirectory(entry)
  if (stats?.isDirectory() === true) {
    applyAttributes(entry, place.path)
    return
  }
  if (stats !== undefined) tree.clear(place)
  fs.mkdirSync(place.path, fresh.hasMode(entry) ? entry.mode : 0o700)
  // Deleted and made anew in one layer: nothing of the old one shows.
  if (stats !== undefined && isWhiteout(stats)) setOpaque(place.path)
  applyToFresh(fresh, entry, place.path)
}

function makeHardLink(tree: ConfinedTree, entry: TarEntry, place: Place): void {
  const components = cleanPath(entry.link)
  if (components.length === 0) throw refuse(entry, `it is a hard link to "${entry.link}"`)
  const target = tree.existing(components)
  const stats = fs.lstatSync(target.path, { throwIfNoEntry: false })
  if (stats === undefined)
    throw refuse(entry, `it is a hard link to "${entry.link}", which does not exist`)
  if (!stats.isFile() && !stats.isSymbolicLink()) {
    throw refuse(entry, `it is a hard link to "${entry.link}", which is not a file`)
  }
  const own = fs.lstatSync(place.path, { throwIfNoEntry: false })
  if (own?.ino === stats.ino) return
  replacing(tree, place, () => {
    fs.linkSync(target.path, place.path)
  })
}

function makeSpecial(tree: ConfinedTree, entry: TarEntry, place: Place): void {
  const type = entry.type === 'char' ? S_IFCHR : entry.type === 'block' ? S_IFBLK : S_IFIFO
  const { major, minor } = entry
  replacing(tree, place, () => {
    makeNode(place.parent, place.name, { mode: type | 0o600, major, minor })
  })
  applyAttributes(entry, place.path)
}

function applyWhiteout(tree: ConfinedTree, entry: TarEntry, components: readonly string[]): void {
  const name = components.at(-1) ?? ''
  if (name === OPAQUE_WHITEOUT) {
    // A place below it makes its directory; `name` itself is never written.
    setOpaque(`/proc/self/fd/${tree.place(components).parent}`)
    return
  }
  if (name.startsWith(AUFS)) return
  const hidden = name.slice(WHITEOUT.length)
  if (hidden === '' || hidden === '.' || hidden === '..')
    throw refuse(entry, 'it is a whiteout of nothing')
  const place = tree.place([...components.slice(0, -1), hidden])
  const stats = fs.lstatSync(place.path, { throwIfNoEntry: false })
  // It speaks of lower layers only: what this layer has stays, and hides what they have.
  if (stats === undefined) tree.makeWhiteout(place)
  else if (stats.isDirectory()) setOpaque(place.path)
}

function checkDevice(entry: TarEntry, options: UnpackOptions): void {
  const isDevice = entry.type === 'char' || entry.type === 'block'
  if (!isDevice) return
  if (options.allowDevices !== true)
    throw refuse(
      entry,
      'it is a device',
      'Remove devices from the image: containers get their own /dev',
    )
  if (entry.type === 'char' && entry.major === 0 && entry.minor === 0) {
    throw refuse(entry, 'it is an overlayfs whiteout in disguise')
  }
}

/** @returns undefined when it is done */
function unpackEntry(
  target: Target,
  entry: TarEntry,
  options: UnpackOptions,
): Promise<void> | undefined {
  const { tree, fresh } = target
  checkDevice(entry, options)
  const components = cleanPath(entry.path)
  if (components.length === 0) throw refuse(entry, 'it is the root, but not a directory')
  if (options.whiteouts !== false && components.at(-1)?.startsWith(WHITEOUT) === true) {
    applyWhiteout(tree, entry, components)
    return undefined
  }
  const place = tree.place(components)
  switch (entry.type) {
    case 'file':
      return writeFile(target, entry, place)
    case 'directory':
      makeDirectory(target, entry, place)
      break
    case 'symlink':
      if (entry.link === '') throw refuse(entry, 'it is a symlink to nothing')
      replacing(tree, place, () => {
        fs.symlinkSync(entry.link, place.path)
      })
      applyToFresh(fresh, entry, place.path)
      break
    case 'hardlink':
      makeHardLink(tree, entry, place)
      break
    case 'char':
    case 'block':
    case 'fifo':
      makeSpecial(tree, entry, place)
      break
  }
  return undefined
}

/** Making what is in a directory changes its time: so they are set at the end. */
async function setDirectoryTimes(
  tree: ConfinedTree,
  times: ReadonlyMap<string, number>,
): Promise<void> {
  const pacer = createPacer()
  for (const [path, mtime] of times) {
    await pacer.breathe()
    try {
      const place = tree.existing(cleanPath(path))
      if (fs.lstatSync(place.path).isDirectory()) fs.utimesSync(place.path, mtime, mtime)
    } catch {
      // Replaced by a later entry.
    }
  }
}

function isRootEntry(entry: TarEntry): boolean {
  return entry.type === 'directory' && cleanPath(entry.path).length === 0
}

/**
 * Unpacks an archive into an empty directory. After a failure the directory holds a part: the caller throws it away.
 * @throws {INVALID_ARGUMENT} naming the entry and what is wrong with it
 * @throws {FAILED_PRECONDITION} no space is left
 */
export async function unpackLayer(
  source: ByteSource,
  root: string,
  options: UnpackOptions = {},
): Promise<UnpackResult> {
  const tree = new ConfinedTree(root)
  const target = { tree, fresh: new FreshAttributes(root) }
  const pacer = createPacer()
  const times = new Map<string, number>()
  let rootTime = 0
  let fileBytes = 0

  async function take(entry: TarEntry): Promise<void> {
    if (isRootEntry(entry)) {
      applyAttributes(entry, root)
      target.fresh.sawDirectory(entry)
      rootTime = entry.mtime
      return
    }
    const unfinished = unpackEntry(target, entry, options)
    if (unfinished !== undefined) await unfinished
    if (entry.type === 'directory') times.set(entry.path, entry.mtime)
  }

  try {
    for await (const entry of readTar(source, options.limits ?? DEFAULT_TAR_LIMITS)) {
      await take(entry).catch((error: unknown) => {
        throw explain(error, entry)
      })
      fileBytes += entry.size
      await pacer.breathe()
    }
    await setDirectoryTimes(tree, times)
    fs.utimesSync(root, rootTime, rootTime)
    return { fileBytes }
  } finally {
    tree.close()
  }
}
