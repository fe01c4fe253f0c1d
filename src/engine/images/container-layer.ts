/**
 * What a container has changed, as a layer of the store: for `commit`. The container's files stay as they are, and it
 * may run meanwhile; a build, whose container is done, takes its files instead (upper-layer.ts).
 */
import fs from 'node:fs'
import type { Hold } from './holds.ts'
import { compareEntries, type LayerEntry } from './layer-entry.ts'
import type { LayerRecord } from './layer-store.ts'
import { LayerView } from './layer-view.ts'
import { createPacer } from './pacer.ts'
import type { StoreParts } from './store-parts.ts'
import { TAR_END, tarHeader, tarPadding } from './tar-writer.ts'
import { findChanges, rootEntry, type Change, type ChangesOptions } from './tree-changes.ts'
import { readExactly, TreeReader } from './tree-reader.ts'
import { unpackDigested } from './unpack-packed.ts'

/** What a storage driver has of a container. */
export interface ContainerTree extends ChangesOptions {
  readonly path: string
  /** The extracted layers of its image, the lowest first. */
  readonly layers: readonly string[]
  /** Seconds since the epoch: no entry is younger. */
  readonly latest?: number
}

/** @throws as `findChanges` */
export function changesOf(tree: ContainerTree): Promise<Change[]> {
  return withTree(tree, ({ reader, view }) => findChanges(reader, view, tree))
}

/**
 * Brings the changes into the store as a layer. Sockets, devices, and the empty files and directories that the engine
 * itself makes for its mounts are left out.
 * @param hold - gets the layer: no image has it yet
 * @throws as `findChanges`; {FAILED_PRECONDITION} no space is left. The store is unchanged then
 */
export function importChanges(
  { layers }: Pick<StoreParts, 'layers'>,
  tree: ContainerTree,
  hold: Hold,
): Promise<LayerRecord> {
  return withTree(tree, async ({ reader, view }) => {
    const changes = await findChanges(reader, view, tree)
    const { latest = Infinity } = tree
    const entries = [rootEntry(reader, tree), ...changes.flatMap(({ entry }) => entry ?? [])]
      .map((entry) => ({ ...entry, mtime: Math.min(entry.mtime, latest) }))
      .sort(compareEntries)
    return layers.make(async (draft) => {
      const record = await unpackDigested(tarOfEntries(reader, entries), draft)
      hold.add([record.diffId]) // before it is there
      return record
    })
  })
}

async function withTree<T>(
  { path, layers }: ContainerTree,
  use: (opened: { readonly reader: TreeReader; readonly view: LayerView }) => Promise<T>,
): Promise<T> {
  const reader = new TreeReader(path)
  try {
    const view = new LayerView(layers)
    return await use({ reader, view }).finally(() => {
      view.close()
    })
  } finally {
    reader.close()
  }
}

/** Later names of a file are links to the first; a file that is gone is left out. */
async function* tarOfEntries(
  reader: TreeReader,
  entries: readonly LayerEntry[],
): AsyncGenerator<Buffer> {
  const pacer = createPacer()
  const firstNames = new Map<string, string>()
  for (const entry of entries) {
    if (entry.type === 'file') yield* fileParts(reader, entry, firstNames)
    else yield tarHeader(entry)
    await pacer.breathe()
  }
  yield TAR_END
}

async function* fileParts(
  reader: TreeReader,
  entry: Extract<LayerEntry, { type: 'file' }>,
  firstNames: Map<string, string>,
): AsyncGenerator<Buffer> {
  const file = reader.openFile(entry.path)
  if (file === undefined) return
  try {
    const { nlink, dev, ino, size } = file.stats
    const inode = `${dev}:${ino}`
    const target = nlink > 1 ? firstNames.get(inode) : undefined
    if (target !== undefined) {
      yield tarHeader({ ...entry, type: 'hardlink', target })
      return
    }
    if (nlink > 1) firstNames.set(inode, entry.path)
    yield tarHeader({ ...entry, size })
    yield* readExactly(file.fd, size)
    yield tarPadding(size)
  } finally {
    fs.closeSync(file.fd)
  }
}
