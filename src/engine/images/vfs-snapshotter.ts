/**
 * Storage driver `vfs`: a copy of the whole tree for each container, for file systems on which overlayfs can't have its
 * upper directory. Slow and large, but on btrfs and xfs the files are clones.
 *
 *   <root>/<key>/tree/    the image's files and what the container writes; ids are the image's own
 *
 * The tree is mounted ID-mapped, so `uid` and `gid` of the options only matter to the engine.
 */
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import type { Mount } from '../../kernel/mount.ts'
import { mergeLayer } from './layer-merge.ts'
import type { SnapshotterSettings } from './overlay-snapshotter.ts'
import { diskUsage, openSnapshotDirectory, recordOf } from './snapshot-directory.ts'
import type { Snapshotter } from './snapshotter.ts'

function cannotLimit(): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    'Cannot limit the writable layer: the storage driver "vfs" has no limits',
    { hint: 'Remove "storage_opt:", or use the storage driver "overlay"' },
  )
}

/** Opens the driver on its directory; one process at a time may use it. */
export function openVfsSnapshotter(settings: SnapshotterSettings): Snapshotter {
  const snapshots = openSnapshotDirectory(settings.root)
  const treeOf = (key: string): string => path.join(snapshots.path(key), 'tree')
  const mountOf = (key: string): Mount => ({
    kind: 'bind',
    source: treeOf(key),
    recursive: false,
    idMapped: true,
  })
  return {
    driver: 'vfs',
    async prepare(key, image, options) {
      if (options.sizeBytes !== undefined) throw cannotLimit()
      await snapshots.prepare(key, recordOf(image, options), async (draft) => {
        const tree = path.join(draft, 'tree')
        for (const layer of image.layers) await mergeLayer(settings.layerPath(layer), tree)
        if (image.layers.length === 0) await mergeLayer(undefined, tree)
      })
      return mountOf(key)
    },
    mount(key) {
      snapshots.get(key)
      return mountOf(key)
    },
    content(key) {
      const { layers } = snapshots.get(key)
      return { path: treeOf(key), layers, owner: 0, wholeSince: snapshots.madeAt(key) }
    },
    remove: snapshots.remove,
    has: (key) => snapshots.find(key) !== undefined,
    async usage(key) {
      snapshots.get(key)
      return diskUsage(treeOf(key))
    },
    list: snapshots.list,
  }
}
