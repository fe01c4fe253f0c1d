/**
 * The tar file that an unpacked layer stands for, made again: for layers that were built of this host's files and never
 * packed. The same entries in the same order give the same digest, which is checked.
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { TsstackError } from '../../errors.ts'
import { readChunks } from './byte-source.ts'
import type { Digest } from './image.ts'
import type { LayerEntry } from './layer-entry.ts'
import { createPacer } from './pacer.ts'
import { walkTree } from './tree-entries.ts'
import { TAR_END, tarHeader, tarPadding } from './tar-writer.ts'

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

/** @throws {FAILED_PRECONDITION} at the end: the tree is not what the layer was made of */
export async function* packTree(tree: string, diffId: Digest): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  const pacer = createPacer()
  const { entries } = await walkTree(tree)
  const parts = async function* (): AsyncGenerator<Buffer> {
    for (const entry of entries) {
      yield tarHeader(entry)
      yield* contentOf(entry)
      await pacer.breathe()
    }
    yield TAR_END
  }
  for await (const chunk of parts()) {
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
