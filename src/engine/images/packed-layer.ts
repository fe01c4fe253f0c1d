/** Blobs of an image as its manifest names them, whether they were kept packed or must be made again. */
import fs from 'node:fs'
import { compressLayer } from './compress-layer.ts'
import type { Digest } from './image.ts'
import type { StoreParts } from './store-parts.ts'
import { packTree } from './tree-layer.ts'

async function* after(start: number, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let position = 0
  for await (const chunk of chunks) {
    position += chunk.length
    if (position > start) yield chunk.subarray(Math.max(chunk.length - (position - start), 0))
  }
}

/** Whether a layer was made here and is kept as its tree alone. */
export function isUnpackedOnly({ content }: StoreParts, digest: Digest, diffId: Digest): boolean {
  return !content.has(digest) && digest === diffId
}

/**
 * @param diffId - of the layer; a layer that was built here is its own tar file
 * @param start - the first byte that is wanted
 * @throws {NOT_FOUND} neither is there
 */
export function openBlob(
  parts: StoreParts,
  digest: Digest,
  diffId: Digest,
  start = 0,
): AsyncGenerator<Buffer> {
  return isUnpackedOnly(parts, digest, diffId)
    ? after(start, packTree(parts.layers.path(diffId), diffId))
    : parts.content.open(digest, start)
}

export interface CompressedBlob {
  readonly digest: Digest
  readonly diffId: Digest
  readonly signal?: AbortSignal | undefined
  /** It is known to be possible, and takes a while. */
  readonly onStart: () => void
}

/**
 * The blob of a layer that is here and was compressed for a push: made once more, instead of fetched.
 * @returns whether the store has it now
 */
export async function compressAgain(
  parts: StoreParts,
  { digest, diffId, signal, onStart }: CompressedBlob,
): Promise<boolean> {
  if (parts.layers.find(diffId) === undefined) return false
  const known = parts.compressed.list(diffId).find((each) => each.digest === digest)
  if (known === undefined) return false
  onStart()
  const { compression } = known
  const file = parts.content.draft()
  try {
    const plain = openBlob(parts, diffId, diffId)
    const compressed = await compressLayer(plain, file, { compression, signal })
    if (compressed.digest !== digest) return false // by another zlib than then
    parts.content.adopt(file, digest)
    return true
  } finally {
    fs.rmSync(file, { force: true })
  }
}
