/**
 * The directory of snapshots that the drivers have in common: a snapshot appears by one rename and is removed by one.
 *
 *   <root>/<key>/snapshot.json     SnapshotRecord
 *   <root>/<key>/…                 the driver's own
 *   <root>/.tmp/<random>/          being made or being removed; swept when the directory opens
 */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { readJsonIfThere } from './atomic-file.ts'
import { createPacer } from './pacer.ts'
import { checkSnapshotKey, type SnapshotImage, type SnapshotOptions } from './snapshotter.ts'
import type { Digest } from './image.ts'

export interface SnapshotRecord extends SnapshotOptions {
  readonly image: Digest
  readonly layers: readonly Digest[]
}

export interface SnapshotDirectory {
  readonly path: (key: string) => string
  readonly find: (key: string) => SnapshotRecord | undefined
  /** @throws {NOT_FOUND} */
  readonly get: (key: string) => SnapshotRecord
  /** Milliseconds since the epoch at which its content was whole. @throws {NOT_FOUND} */
  readonly madeAt: (key: string) => number
  /** @throws {ALREADY_EXISTS} the key has another image */
  readonly prepare: (
    key: string,
    record: SnapshotRecord,
    fill: (draft: string) => void | Promise<void>,
  ) => Promise<SnapshotRecord>
  readonly remove: (key: string) => Promise<void>
  readonly list: () => string[]
}

const TMP = '.tmp'

export function recordOf(image: SnapshotImage, options: SnapshotOptions): SnapshotRecord {
  const { uid, gid, sizeBytes } = options
  const limit = sizeBytes === undefined ? {} : { sizeBytes }
  return { image: image.id, layers: image.layers, uid, gid, ...limit }
}

/** Removes what an earlier process left in a directory of drafts; the rest of the start does not wait for it. */
export function sweep(directory: string): Promise<void> {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  const leftovers = fs.readdirSync(directory)
  return Promise.all(
    leftovers.map((name) =>
      fs.promises
        .rm(path.join(directory, name), { recursive: true, force: true })
        .catch(() => undefined),
    ),
  ).then(() => undefined)
}

/** Removes a directory that nothing names any more. */
function removeTree(directory: string): Promise<void> {
  return fs.promises.rm(directory, { recursive: true, force: true })
}

/** @param discard - removes a snapshot that is out of the way; the driver may know a quicker way */
export function openSnapshotDirectory(root: string, discard = removeTree): SnapshotDirectory {
  const tmpDir = path.join(root, TMP)
  void sweep(tmpDir)
  const home = (key: string): string => {
    checkSnapshotKey(key)
    return path.join(root, key)
  }
  const find = (key: string): SnapshotRecord | undefined =>
    readJsonIfThere(path.join(home(key), 'snapshot.json')) as SnapshotRecord | undefined

  async function bury(directory: string): Promise<void> {
    const grave = path.join(tmpDir, randomUUID())
    try {
      fs.renameSync(directory, grave)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    await discard(grave)
  }

  function get(key: string): SnapshotRecord {
    const record = find(key)
    if (record !== undefined) return record
    throw new TsstackError('NOT_FOUND', `Cannot find snapshot "${key}": there is none`)
  }

  return {
    path: home,
    find,
    get,
    madeAt(key) {
      get(key)
      return fs.statSync(path.join(home(key), 'snapshot.json')).mtimeMs // written last, never again
    },
    async prepare(key, record, fill) {
      const existing = find(key)
      if (existing?.image === record.image) return existing
      if (existing !== undefined) {
        const state = `it is a snapshot of image "${existing.image}"`
        throw new TsstackError('ALREADY_EXISTS', `Cannot prepare snapshot "${key}": ${state}`)
      }
      const draft = path.join(tmpDir, randomUUID())
      fs.mkdirSync(draft, { mode: 0o711 })
      try {
        await fill(draft)
        fs.writeFileSync(path.join(draft, 'snapshot.json'), JSON.stringify(record), { mode: 0o600 })
        await bury(home(key)) // a directory without a record is a ruin
        fs.renameSync(draft, home(key))
      } catch (error) {
        await discard(draft)
        throw error
      }
      return record
    },
    remove: (key) => bury(home(key)),
    list: () =>
      fs.readdirSync(root).filter((name) => !name.startsWith('.') && find(name) !== undefined),
  }
}

/** Files get the time of the last tick of the kernel's clock (man 7 time: CONFIG_HZ of 100 at least), which is a little behind. */
export const FILE_CLOCK_MS = 10

/**
 * Bytes on disk of all below a directory; a file with several names counts once.
 * @param changedSince - milliseconds since the epoch: only files that were made or changed then or later
 */
export async function diskUsage(directory: string, { changedSince = 0 } = {}): Promise<number> {
  const pacer = createPacer()
  const counted = new Set<bigint>()
  const pending = [directory]
  let blocks = 0n
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    for (const name of fs.readdirSync(current)) {
      const file = path.join(current, name)
      const stats = fs.lstatSync(file, { bigint: true, throwIfNoEntry: false })
      if (stats === undefined || counted.has(stats.ino)) continue // removed meanwhile
      if (stats.nlink > 1n && !stats.isDirectory()) counted.add(stats.ino)
      if (stats.ctimeMs >= Math.floor(changedSince)) blocks += stats.blocks
      if (stats.isDirectory()) pending.push(file)
    }
    await pacer.breathe()
  }
  return Number(blocks * 512n)
}
