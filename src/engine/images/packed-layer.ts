/** Blobs of an image as its manifest names them, whether they were kept packed or must be made again. */
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

/**
 * @param diffId - of the layer; a layer that was built here is its own tar file
 * @param start - the first byte that is wanted
 * @throws {NOT_FOUND} neither is there
 */
export function openBlob(
  { content, layers }: StoreParts,
  digest: Digest,
  diffId: Digest,
  start = 0,
): AsyncGenerator<Buffer> {
  const isUnpackedOnly = !content.has(digest) && digest === diffId
  return isUnpackedOnly
    ? after(start, packTree(layers.path(diffId), diffId))
    : content.open(digest, start)
}
