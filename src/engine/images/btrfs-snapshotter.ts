/**
 * Storage driver `btrfs`: an image is laid out once in a subvolume, and each container gets a snapshot of that, in no time
 * and with no space of its own until it writes. Needs the state directory on btrfs.
 *
 *   <root>/<key>/tree/                  a container's snapshot; ids are the image's own
 *   <root>/.images/<hex>/tree/          an image's files, by the digest of its list of layers
 *   <root>/.images/<hex>/snapshot.json  its layers; removed once one of them is gone from the store
 *
 * Files of layers share their blocks with the store (FICLONE).
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { TsstackError } from '../../errors.ts'
import {
  createSubvolume,
  destroySubvolume,
  isBtrfs,
  snapshotSubvolume,
} from '../../kernel/btrfs.ts'
import type { Digest } from './image.ts'
import { mergeLayer } from './layer-merge.ts'
import type { SnapshotterSettings } from './overlay-snapshotter.ts'
import {
  FILE_CLOCK_MS,
  openSnapshotDirectory,
  recordOf,
  type SnapshotDirectory,
} from './snapshot-directory.ts'
import type { Snapshotter, SnapshotImage } from './snapshotter.ts'
import { createTreeSnapshotter, layOut } from './tree-snapshotter.ts'

const IMAGES = '.images'

function keyOf(layers: readonly Digest[]): string {
  return createHash('sha256').update(layers.join('\n')).digest('hex')
}

async function discard(directory: string): Promise<void> {
  const tree = path.join(directory, 'tree')
  // What was cut short has none, or a plain directory.
  try {
    destroySubvolume(tree)
  } catch {
    await fs.promises.rm(tree, { recursive: true, force: true })
  }
  await fs.promises.rm(directory, { recursive: true, force: true })
}

function checkFileSystem(root: string): void {
  fs.mkdirSync(root, { recursive: true, mode: 0o700 })
  if (isBtrfs(root)) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot use storage driver "btrfs": "${root}" is on another file system`,
    { hint: 'Put TSSTACK_STATE_DIR on btrfs, or choose "overlay"' },
  )
}

/** The subvolumes of images, each made by the first container that needs it. */
class ImageTrees {
  readonly #trees: SnapshotDirectory
  readonly #settings: SnapshotterSettings
  readonly #underWay = new Map<string, Promise<string>>()

  constructor(settings: SnapshotterSettings) {
    this.#settings = settings
    this.#trees = openSnapshotDirectory(path.join(settings.root, IMAGES), discard)
  }

  /** Two containers of one image at once lay it out once. */
  find(image: SnapshotImage): Promise<string> {
    const key = keyOf(image.layers)
    const making = this.#underWay.get(key) ?? this.#make(key, image)
    this.#underWay.set(key, making)
    return making.finally(() => this.#underWay.delete(key))
  }

  /** Removes those whose image is gone; snapshots of them go on. */
  async sweep(): Promise<void> {
    for (const key of this.#trees.list()) {
      const { layers } = this.#trees.get(key)
      const isWhole = layers.every((layer) => fs.existsSync(this.#settings.layerPath(layer)))
      if (!isWhole) await this.#trees.remove(key)
    }
  }

  async #make(key: string, image: SnapshotImage): Promise<string> {
    // By its layers alone: images that differ in their configuration share it.
    const record = { ...recordOf(image, { uid: 0, gid: 0 }), image: `sha256:${key}` }
    await this.#trees.prepare(key, record, async (draft) => {
      await this.#fill(path.join(draft, 'tree'), image.layers)
      await setTimeout(FILE_CLOCK_MS) // by its times, nothing of it belongs to a snapshot of it
    })
    return path.join(this.#trees.path(key), 'tree')
  }

  /** The steps of a build have one layer more each: only what no other image has below it is laid out. */
  async #fill(tree: string, layers: readonly Digest[]): Promise<void> {
    for (let count = layers.length - 1; count > 0; count--) {
      const below = keyOf(layers.slice(0, count))
      if (this.#trees.find(below) === undefined) continue
      snapshotSubvolume(path.join(this.#trees.path(below), 'tree'), tree)
      for (const layer of layers.slice(count))
        await mergeLayer(this.#settings.layerPath(layer), tree)
      return
    }
    createSubvolume(tree)
    await layOut(tree, layers, this.#settings)
  }
}

/**
 * Opens the driver on its directory; one process at a time may use it.
 * @throws {FAILED_PRECONDITION} the directory is not on btrfs
 */
export function openBtrfsSnapshotter(settings: SnapshotterSettings): Snapshotter {
  checkFileSystem(settings.root)
  const images = new ImageTrees(settings)
  const snapshots = openSnapshotDirectory(settings.root, discard)
  return createTreeSnapshotter({
    driver: 'btrfs',
    snapshots,
    fill: async (tree, image) => {
      snapshotSubvolume(await images.find(image), tree)
    },
    sharesFiles: true,
    remove: async (key) => {
      await snapshots.remove(key)
      await images.sweep()
    },
  })
}
