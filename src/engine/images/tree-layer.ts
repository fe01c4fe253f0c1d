/**
 * The tar file that an unpacked layer stands for, made again: for layers that were built on this host and never packed.
 * The same entries in the same order give the same digest, which is checked.
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { TsstackError } from '../../errors.ts'
import { readChunks } from './byte-source.ts'
import type { Digest } from './image.ts'
import type { LayerEntry } from './layer-entry.ts'
import type { LayerRecord } from './layer-store.ts'
import { createPacer } from './pacer.ts'
import { walkTree } from './tree-entries.ts'
import { TAR_END, tarHeader, tarPadding, tarSize } from './tar-writer.ts'

async function* contentOf(entry: LayerEntry): AsyncGenerator<Buffer> {
  if (entry.type !== 'file') return
  const handle = await fs.promises.open(entry.source, 'r')
  try {
    yield* readChunks(handle)
    yield tarPadding(entry.size)
  } finally {
    await handle.close()
  }
}

async function* tarOf(entries: readonly LayerEntry[]): AsyncGenerator<Buffer> {
  const pacer = createPacer()
  for (const entry of entries) {
    yield tarHeader(entry)
    yield* contentOf(entry)
    await pacer.breathe()
  }
  yield TAR_END
}

/** @throws {FAILED_PRECONDITION} at the end: the tree is not what the layer was made of */
export async function* packTree(tree: string, diffId: Digest): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  const { entries } = await walkTree(tree)
  for await (const chunk of tarOf(entries)) {
    hash.update(chunk)
    yield chunk
  }
  const actual = `sha256:${hash.digest('hex')}`
  if (actual === diffId) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot pack layer "${diffId}": its files have changed`,
    { hint: 'Remove the image, and make it again' },
  )
}

/** The layer that a tree is: the digest of the tar file that `packTree` makes of it, and its sizes. */
export async function describeTree(tree: string): Promise<LayerRecord> {
  const hash = createHash('sha256')
  const { entries } = await walkTree(tree)
  let tarBytes = 0
  for await (const chunk of tarOf(entries)) {
    hash.update(chunk)
    tarBytes += chunk.length
  }
  const fileBytes = entries.reduce((total, entry) => total + tarSize(entry), 0)
  return { diffId: `sha256:${hash.digest('hex')}`, tarBytes, fileBytes }
}
