/**
 * Storage driver `overlay`: the image's layers as they are, and a directory for what the container writes
 * (Documentation/filesystems/overlayfs.rst).
 *
 *   <root>/<key>/upper/    what the container writes; ids are the container's, shifted into its range
 *   <root>/<key>/work/     overlayfs's own
 */
import fs from 'node:fs'
import path from 'node:path'
import type { Mount } from '../../kernel/mount.ts'
import { isOpaque } from './confined-tree.ts'
import type { Digest } from './image.ts'
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

/** The root directory of a container has the upper directory's attributes: they come from the topmost layer. */
function makeUpper(draft: string, record: SnapshotRecord, settings: SnapshotterSettings): void {
  const top = record.layers.at(-1)
  const stats = top === undefined ? undefined : fs.statSync(settings.layerPath(top))
  const upper = path.join(draft, 'upper')
  const work = path.join(draft, 'work')
  fs.mkdirSync(upper)
  fs.mkdirSync(work)
  fs.chownSync(upper, record.uid + (stats?.uid ?? 0), record.gid + (stats?.gid ?? 0))
  fs.chmodSync(upper, (stats?.mode ?? 0o755) & 0o7777)
  fs.chownSync(work, record.uid, record.gid)
  fs.chmodSync(work, 0o700)
  if (stats === undefined) fs.mkdirSync(path.join(draft, 'empty')) // overlayfs wants a lower layer
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

/** Opens the driver on its directory; one process at a time may use it. */
export function openOverlaySnapshotter(settings: SnapshotterSettings): Snapshotter {
  const snapshots = openSnapshotDirectory(settings.root)

  function mountOf(key: string, record: SnapshotRecord): Mount {
    const home = snapshots.path(key)
    const layers = record.layers.map((layer) => settings.layerPath(layer))
    return {
      kind: 'overlay',
      lowerdirs: layers.length === 0 ? [path.join(home, 'empty')] : lowerDirectories(layers),
      upperdir: path.join(home, 'upper'),
      workdir: path.join(home, 'work'),
    }
  }

  return {
    driver: 'overlay',
    async prepare(key, image, options) {
      const record = await snapshots.prepare(key, recordOf(image, options), (draft) => {
        makeUpper(draft, recordOf(image, options), settings)
      })
      return mountOf(key, record)
    },
    mount: (key) => mountOf(key, snapshots.get(key)),
    content(key) {
      const { layers, uid } = snapshots.get(key)
      return { path: path.join(snapshots.path(key), 'upper'), layers, owner: uid }
    },
    remove: snapshots.remove,
    has: (key) => snapshots.find(key) !== undefined,
    async usage(key) {
      snapshots.get(key)
      return diskUsage(path.join(snapshots.path(key), 'upper'))
    },
    list: snapshots.list,
  }
}
