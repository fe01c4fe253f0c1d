/** Writes what COPY and ADD copy into a tree: every name is confined to it (confined-tree.ts). */
import fs from 'node:fs'
import path from 'node:path'
import { ConfinedTree, type Place } from '../engine/images/confined-tree.ts'
import { isLayerXattr } from '../engine/images/layer-entry.ts'
import { createPacer } from '../engine/images/pacer.ts'
import { getXattr, listXattrs, setXattr } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import { changeMode } from './file-mode.ts'
import { fileVersion } from './file-digests.ts'
import type { SourceFile } from './source-tree.ts'

export interface CopyAttributes {
  /** Instead of the source's. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** As `--chmod`. */
  readonly mode?: string
}

const SMALL_BYTES = 256 << 10
const { COPYFILE_EXCL, COPYFILE_FICLONE } = fs.constants

/** Where a file goes: components below the root of the tree. */
export type Target = readonly string[]

export function componentsOf(file: string): string[] {
  return path.posix
    .normalize(`/${file}`)
    .split('/')
    .filter((part) => part !== '')
}

/** A tree that is written to; holds descriptors until it is closed. */
export class CopyTarget {
  readonly #tree: ConfinedTree
  readonly #attributes: CopyAttributes
  readonly #pacer = createPacer()
  readonly #times: { readonly target: Target; readonly stats: fs.BigIntStats }[] = []

  constructor(root: string, attributes: CopyAttributes) {
    this.#tree = new ConfinedTree(root)
    this.#attributes = attributes
  }

  close(): void {
    this.#tree.close()
  }

  isDirectory(target: Target): boolean {
    if (target.length === 0) return true
    try {
      // Where it is a symlink, what that leads to counts.
      const { path: at } = this.#tree.existing([...target, '.'])
      return fs.statSync(at).isDirectory()
    } catch {
      return false
    }
  }

  /** Makes a directory and those above it, where they are missing. */
  makeDirectories(target: Target): void {
    for (let length = 1; length <= target.length; length++) {
      const part = target.slice(0, length)
      if (!this.isDirectory(part)) this.#makeDirectory(part)
    }
  }

  #makeDirectory(target: Target): void {
    const place = this.#tree.place(target)
    try {
      fs.mkdirSync(place.path, 0o755)
    } catch (cause) {
      const at = `/${target.join('/')}`
      throw new TsstackError('INVALID_ARGUMENT', `"${at}" is there, and no directory`, { cause })
    }
    fs.chmodSync(place.path, 0o755)
    const { owner } = this.#attributes
    if (owner !== undefined) fs.lchownSync(place.path, owner.uid, owner.gid)
  }

  /** Copies one file of a walk; a directory without what is in it. */
  async add(file: SourceFile, target: Target, keepsOwner: boolean): Promise<void> {
    await this.#pacer.breathe()
    const { stats } = file
    if (stats.isDirectory()) {
      if (!this.isDirectory(target)) this.#makeDirectory(target)
      else if (file.below === '') return // what is there already keeps its attributes
      this.#apply(file, this.#tree.place([...target, '.']), keepsOwner)
      this.#times.push({ target, stats })
      return
    }
    const place = this.#tree.place(target)
    this.#clear(place, target)
    if (stats.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(file.at), place.path)
    else await copyContent(file, place.path)
    this.#apply(file, place, keepsOwner)
  }

  /** A file with this text. */
  addText(content: string, target: Target, mode: number): void {
    const place = this.#tree.place(target)
    this.#clear(place, target)
    fs.writeFileSync(place.path, content, { flag: 'wx' })
    const { owner, mode: change } = this.#attributes
    if (owner !== undefined) fs.lchownSync(place.path, owner.uid, owner.gid)
    fs.chmodSync(place.path, changeMode(mode, change, false))
  }

  /** Times of directories last: making what is in them changes them. */
  finish(): void {
    for (const { target, stats } of this.#times.toReversed()) {
      const seconds = Number(stats.mtimeMs) / 1000
      fs.utimesSync(this.#tree.place([...target, '.']).path, seconds, seconds)
    }
  }

  #clear(place: Place, target: Target): void {
    const existing = fs.lstatSync(place.path, { throwIfNoEntry: false })
    if (existing === undefined) return
    if (existing.isDirectory())
      throw new TsstackError('INVALID_ARGUMENT', `"/${target.join('/')}" is a directory already`)
    fs.rmSync(place.path)
  }

  /** Owner, then mode (chown clears setuid), then attributes (chown clears capabilities), then time. */
  #apply({ stats, at }: SourceFile, { path: target }: Place, keepsOwner: boolean): void {
    const { owner, mode: change } = this.#attributes
    const [uid, gid] = keepsOwner ? [Number(stats.uid), Number(stats.gid)] : [0, 0]
    fs.lchownSync(target, owner?.uid ?? uid, owner?.gid ?? gid)
    if (!stats.isSymbolicLink())
      fs.chmodSync(target, changeMode(Number(stats.mode & 0o7777n), change, stats.isDirectory()))
    if (keepsOwner && !stats.isSymbolicLink()) copyXattrs(at, target)
    const seconds = Number(stats.mtimeMs) / 1000
    if (!stats.isDirectory()) fs.lutimesSync(target, seconds, seconds)
  }
}

function copyXattrs(source: string, target: string): void {
  for (const name of listXattrs(source).filter(isLayerXattr)) {
    const value = getXattr(source, name)
    if (value !== undefined) setXattr(target, name, value)
  }
}

/** @throws {UNAVAILABLE} it is not what it was when its digest was taken */
async function copyContent({ at, stats, below }: SourceFile, target: string): Promise<void> {
  const flags = COPYFILE_EXCL | COPYFILE_FICLONE
  if (stats.size <= SMALL_BYTES) fs.copyFileSync(at, target, flags)
  else await fs.promises.copyFile(at, target, flags)
  if (fileVersion(fs.statSync(at, { bigint: true })) !== fileVersion(stats))
    throw new TsstackError('UNAVAILABLE', `"${below}" changed while it was read`)
}
