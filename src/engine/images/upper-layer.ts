/**
 * What was written over an image's layers as a layer of its own. overlayfs keeps it in the upper directory in the form
 * that the store has for layers, whiteouts and opaque directories included; what differs is put right here: the ids of
 * the user namespace, overlayfs's own attributes, and what no layer can have.
 */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { getXattr, listXattrs, removeXattr, setXattr } from '../../kernel/file-calls.ts'
import { OPAQUE_XATTR } from './confined-tree.ts'
import { isLayerXattr } from './layer-entry.ts'
import type { LayerRecord } from './layer-store.ts'
import { createPacer } from './pacer.ts'
import { describeTree } from './tree-layer.ts'

export interface UpperOptions {
  /** The ids of the host that are 0 in the layer: the start of the range, or 0 without a user namespace. */
  readonly owner: number
  /** Seconds since the epoch: no file is younger, for builds that shall be the same tomorrow (SOURCE_DATE_EPOCH). */
  readonly latest?: number
}

const RANGE_LENGTH = 65_536
const SPECIAL_BITS = 0o7000
const REDIRECT_XATTR = 'trusted.overlay.redirect'
const CAPABILITY = 'security.capability'

/** `struct vfs_ns_cap_data` is `struct vfs_cap_data` and the root id (include/uapi/linux/capability.h). */
const CAPABILITY_V2_BYTES = 20
const CAPABILITY_V3_BYTES = 24
const CAPABILITY_REVISION_2 = 0x0200_0000
const CAPABILITY_FLAGS = 0x00ff_ffff

/** A capability that was given inside a user namespace is for its root alone; in the layer it is for any. */
function plainCapability(value: Buffer): Buffer {
  if (value.length !== CAPABILITY_V3_BYTES) return value
  const plain = Buffer.from(value.subarray(0, CAPABILITY_V2_BYTES))
  plain.writeUInt32LE(((value.readUInt32LE(0) & CAPABILITY_FLAGS) | CAPABILITY_REVISION_2) >>> 0, 0)
  return plain
}

function shifted(id: number, owner: number): number {
  return id >= owner && id < owner + RANGE_LENGTH ? id - owner : id
}

/** chown(2) clears setuid, setgid and capabilities, so they are set again. */
function giveBack(file: string, stats: fs.Stats, owner: number): void {
  if (owner === 0) return
  const capability = stats.isFile() ? getXattr(file, CAPABILITY) : undefined
  fs.lchownSync(file, shifted(stats.uid, owner), shifted(stats.gid, owner))
  if (!stats.isSymbolicLink() && (stats.mode & SPECIAL_BITS) !== 0)
    fs.chmodSync(file, stats.mode & 0o7777)
  if (capability !== undefined) setXattr(file, CAPABILITY, plainCapability(capability))
}

function stripXattrs(file: string): void {
  for (const name of listXattrs(file)) {
    if (name === REDIRECT_XATTR) {
      throw new TsstackError(
        'FAILED_PRECONDITION',
        `Cannot make a layer: overlayfs has moved directory "${path.basename(file)}" by reference`,
        { hint: 'Turn off the "redirect_dir" parameter of the kernel module "overlay"' },
      )
    }
    const isKept = name === OPAQUE_XATTR || isLayerXattr(name)
    if (!isKept && name.startsWith('trusted.')) removeXattr(file, name)
  }
}

function settle(file: string, stats: fs.Stats, { owner, latest }: UpperOptions): void {
  if (stats.isCharacterDevice() && stats.rdev === 0) return // a whiteout
  if (stats.isSocket()) {
    fs.rmSync(file) // no layer can have it
    return
  }
  giveBack(file, stats, owner)
  if (stats.isFile() || stats.isDirectory()) stripXattrs(file)
  if (latest !== undefined && !stats.isDirectory() && stats.mtimeMs > latest * 1000)
    fs.lutimesSync(file, latest, latest)
}

/** A directory's time last: removing what is in it changes it. */
function settleTime(directory: string, stats: fs.Stats, latest: number | undefined): void {
  const seconds = Math.floor(stats.mtimeMs / 1000)
  const time = latest === undefined ? seconds : Math.min(seconds, latest)
  fs.utimesSync(directory, time, time)
}

async function settleTree(root: string, options: UpperOptions): Promise<void> {
  const pacer = createPacer()
  const pending = [root]
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    const stats = fs.lstatSync(current)
    settle(current, stats, options)
    for (const name of fs.readdirSync(current)) {
      const file = path.join(current, name)
      const child = fs.lstatSync(file)
      if (child.isDirectory()) pending.push(file)
      else settle(file, child, options)
    }
    settleTime(current, stats, options.latest)
    await pacer.breathe()
  }
}

/**
 * Moves an upper directory into a layer's tree; nothing may be mounted of it any more.
 * @param tree - an empty directory of the same file system
 * @throws {FAILED_PRECONDITION} the kernel was told to keep moved directories by reference
 */
export async function adoptUpper(
  upper: string,
  tree: string,
  options: UpperOptions,
): Promise<LayerRecord> {
  await settleTree(upper, options)
  fs.rmdirSync(tree)
  fs.renameSync(upper, tree)
  return describeTree(tree)
}
