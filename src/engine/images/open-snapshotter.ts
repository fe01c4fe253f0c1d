/** Chooses the storage driver. Another driver is one more line here, and must pass test/suites/snapshotter.ts. */
import path from 'node:path'
import { openBtrfsSnapshotter } from './btrfs-snapshotter.ts'
import { openOverlaySnapshotter, type SnapshotterSettings } from './overlay-snapshotter.ts'
import type { Snapshotter } from './snapshotter.ts'
import { openVfsSnapshotter } from './vfs-snapshotter.ts'

const DRIVERS = {
  overlay: openOverlaySnapshotter,
  btrfs: openBtrfsSnapshotter,
  vfs: openVfsSnapshotter,
} as const

export type StorageDriver = keyof typeof DRIVERS

/** @param root - the directory of all snapshots; each driver has its own below it */
export function openSnapshotter(
  driver: StorageDriver,
  root: string,
  images: Pick<SnapshotterSettings, 'layerPath'>,
): Snapshotter {
  return DRIVERS[driver]({
    root: path.join(root, driver),
    layerPath: (diffId) => images.layerPath(diffId),
  })
}
