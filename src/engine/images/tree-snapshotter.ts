/**
 * What the drivers have in common that keep a whole tree for each container (`vfs`, `btrfs`): it lies in `<root>/<key>/tree/`
 * with the image's own ids, and is mounted ID-mapped, so `uid` and `gid` of the options only matter to the engine.
 */
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import type { Mount } from '../../kernel/mount.ts'
import type { Digest } from './image.ts'
import { mergeLayer } from './layer-merge.ts'
import type { SnapshotterSettings } from './overlay-snapshotter.ts'
import { diskUsage, recordOf, type SnapshotDirectory } from './snapshot-directory.ts'
import type { Snapshotter, SnapshotImage } from './snapshotter.ts'

/** Puts the layers of an image on top of each other. */
export async function layOut(
  tree: string,
  layers: readonly Digest[],
  { layerPath }: SnapshotterSettings,
): Promise<void> {
  for (const layer of layers) await mergeLayer(layerPath(layer), tree)
  if (layers.length === 0) await mergeLayer(undefined, tree)
}

export interface TreeDriver {
  readonly driver: Snapshotter['driver']
  readonly snapshots: SnapshotDirectory
  /** Makes the tree of a new snapshot. */
  readonly fill: (tree: string, image: SnapshotImage) => Promise<void>
  /** Only what has changed since a snapshot was made is its own. */
  readonly sharesFiles: boolean
  readonly remove: Snapshotter['remove']
}

export function createTreeSnapshotter(of: TreeDriver): Snapshotter {
  const { driver, snapshots } = of
  const treeOf = (key: string): string => path.join(snapshots.path(key), 'tree')
  const mountOf = (key: string): Mount => ({
    kind: 'bind',
    source: treeOf(key),
    recursive: false,
    idMapped: true,
  })
  return {
    driver,
    async prepare(key, image, options) {
      if (options.sizeBytes !== undefined) throw cannotLimit(driver)
      await snapshots.prepare(key, recordOf(image, options), (draft) =>
        of.fill(path.join(draft, 'tree'), image),
      )
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
    remove: of.remove,
    has: (key) => snapshots.find(key) !== undefined,
    async usage(key) {
      const madeAt = snapshots.madeAt(key)
      return diskUsage(treeOf(key), of.sharesFiles ? { changedSince: madeAt } : {})
    },
    list: snapshots.list,
  }
}

function cannotLimit(driver: string): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot limit the writable layer: the storage driver "${driver}" has no limits`,
    { hint: 'Remove "storage_opt:", or use the storage driver "overlay"' },
  )
}
