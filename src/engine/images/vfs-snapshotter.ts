/**
 * Storage driver `vfs`: a copy of the whole tree for each container, for file systems on which overlayfs can't have its
 * upper directory. Slow and large, but on btrfs and xfs the files are clones.
 *
 *   <root>/<key>/tree/    the image's files and what the container writes; ids are the image's own
 */
import type { SnapshotterSettings } from './overlay-snapshotter.ts'
import { openSnapshotDirectory } from './snapshot-directory.ts'
import type { Snapshotter } from './snapshotter.ts'
import { createTreeSnapshotter, layOut } from './tree-snapshotter.ts'

/** Opens the driver on its directory; one process at a time may use it. */
export function openVfsSnapshotter(settings: SnapshotterSettings): Snapshotter {
  const snapshots = openSnapshotDirectory(settings.root)
  return createTreeSnapshotter({
    driver: 'vfs',
    snapshots,
    fill: (tree, image) => layOut(tree, image.layers, settings),
    sharesFiles: false,
    remove: snapshots.remove,
  })
}
