/**
 * Storage driver `overlay`: the image's layers as they are, and a directory for what the container writes
 * (Documentation/filesystems/overlayfs.rst).
 *
 *   <root>/<key>/upper/    what the container writes; ids are the container's, shifted into its range
 *   <root>/<key>/work/     overlayfs's own
 *
 * Of a snapshot with a limit both are in <root>/<key>/disk/, see limited-directory.ts.
 */
import fs from 'node:fs'
import path from 'node:path'
import type { Mount } from '../../kernel/mount.ts'
import { isOpaque } from './confined-tree.ts'
import type { Digest } from './image.ts'
import {
  closeLimitedDirectory,
  makeLimitedDirectory,
  openLimitedDirectory,
} from './limited-directory.ts'
import {
  diskUsage,
  openSnapshotDirectory,
  recordOf,
  type SnapshotRecord,
} from './snapshot-directory.ts'
import type { Snapshotter } from './snapshotter.ts'

export interface SnapshotterSettings {
  /** The directory of this driver's snapshots; made if it is missing. */
  readonly root: string
  /** Where a layer is extracted: `ImageStore.layerPath`. */
  readonly layerPath: (diffId: Digest) => string
}

async function fillDraft(
  draft: string,
  record: SnapshotRecord,
  settings: SnapshotterSettings,
): Promise<void> {
  if (record.layers.length === 0) fs.mkdirSync(path.join(draft, 'empty')) // overlayfs wants a lower layer
  if (record.sizeBytes === undefined) makeUpper(draft, record, settings)
  else await makeLimitedDirectory(draft, record.sizeBytes)
}

/** The root directory of a container has the upper directory's attributes: they come from the topmost layer. */
function makeUpper(directory: string, record: SnapshotRecord, settings: SnapshotterSettings): void {
  const top = record.layers.at(-1)
  const stats = top === undefined ? undefined : fs.statSync(settings.layerPath(top))
  const work = path.join(directory, 'work')
  const upper = path.join(directory, 'upper')
  for (const made of [work, upper]) fs.mkdirSync(made, { recursive: true })
  fs.chownSync(upper, record.uid + (stats?.uid ?? 0), record.gid + (stats?.gid ?? 0))
  fs.chmodSync(upper, (stats?.mode ?? 0o755) & 0o7777)
  fs.chownSync(work, record.uid, record.gid)
  fs.chmodSync(work, 0o700)
}

/**
 * Uppermost first. overlayfs ignores the opaque mark on the root of a layer, so what lies below it is left out here. It
 * refuses a directory that occurs twice (ELOOP); the uppermost occurrence alone shows the same.
 */
function lowerDirectories(layers: readonly string[]): string[] {
  const topFirst = [...new Set(layers.toReversed())]
  const opaque = topFirst.findIndex((layer) => isOpaque(layer))
  return opaque < 0 ? topFirst : topFirst.slice(0, opaque + 1)
}

/**
 * Layers as a tree that nobody can write to.
 * @param nothing - two empty directories: without an upper directory overlayfs wants two layers
 */
export function readOnlyOverlay(
  layers: readonly string[],
  nothing: readonly [string, string],
): Mount {
  const own = lowerDirectories(layers)
  return { kind: 'overlay', lowerdirs: own.length > 1 ? own : [...own, ...nothing].slice(0, 2) }
}

/** Opens the driver on its directory; one process at a time may use it. */
export function openOverlaySnapshotter(settings: SnapshotterSettings): Snapshotter {
  const snapshots = openSnapshotDirectory(settings.root)

  /** Where `upper` and `work` are. */
  function writableOf(key: string, record: SnapshotRecord): string {
    const home = snapshots.path(key)
    if (record.sizeBytes === undefined) return home
    const disk = openLimitedDirectory(home)
    if (!fs.existsSync(path.join(disk, 'ready'))) {
      makeUpper(disk, record, settings)
      fs.writeFileSync(path.join(disk, 'ready'), '') // a crash before it makes them again
    }
    return disk
  }

  function mountOf(key: string, record: SnapshotRecord): Mount {
    const home = snapshots.path(key)
    const writable = writableOf(key, record)
    const layers = record.layers.map((layer) => settings.layerPath(layer))
    return {
      kind: 'overlay',
      lowerdirs: layers.length === 0 ? [path.join(home, 'empty')] : lowerDirectories(layers),
      upperdir: path.join(writable, 'upper'),
      workdir: path.join(writable, 'work'),
    }
  }

  return {
    driver: 'overlay',
    async prepare(key, image, options) {
      const asked = recordOf(image, options)
      const fill = (draft: string): Promise<void> => fillDraft(draft, asked, settings)
      return mountOf(key, await snapshots.prepare(key, asked, fill))
    },
    mount: (key) => mountOf(key, snapshots.get(key)),
    content(key) {
      const record = snapshots.get(key)
      const { layers, uid } = record
      return { path: path.join(writableOf(key, record), 'upper'), layers, owner: uid }
    },
    remove(key) {
      closeLimitedDirectory(snapshots.path(key))
      return snapshots.remove(key)
    },
    has: (key) => snapshots.find(key) !== undefined,
    async usage(key) {
      return diskUsage(path.join(writableOf(key, snapshots.get(key)), 'upper'))
    },
    list: snapshots.list,
  }
}
