/** Blobs of an image as its manifest names them, whether they were kept packed or must be made again. */
import type { Digest } from './image.ts'
import type { StoreParts } from './store-parts.ts'
import { packTree } from './tree-layer.ts'

/**
 * @param diffId - of the layer; a layer that was built here is its own tar file
 * @throws {NOT_FOUND} neither is there
 */
export function openBlob(
  { content, layers }: StoreParts,
  digest: Digest,
  diffId: Digest,
): AsyncGenerator<Buffer> {
  const isUnpackedOnly = !content.has(digest) && digest === diffId
  return isUnpackedOnly ? packTree(layers.path(diffId), diffId) : content.open(digest)
}
