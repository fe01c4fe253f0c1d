/** What images take on the disk. */
import fs from 'node:fs'
import type { Digest } from './image.ts'
import type { StoreParts } from './store-parts.ts'

/** By image id: who needs it, as people know them: `container "shop-web-1"`. */
export type ImagesInUse = ReadonlyMap<Digest, readonly string[]>

export interface ImageUsage {
  /** Bytes of the layers' files, each layer once, and of blobs. */
  readonly totalBytes: number
  /** What would go with the images that nothing uses. */
  readonly reclaimableBytes: number
  /** Of pulls that are not finished. */
  readonly partialBytes: number
  /** By image id: bytes of layers that no other image has. */
  readonly uniqueBytes: ReadonlyMap<Digest, number>
}

export function measureImages(parts: StoreParts, inUse: ImagesInUse): ImageUsage {
  const { content, layers, records, leases } = parts
  const images = [...records.images.values()]
  const bytesOf = (diffId: Digest): number => layers.find(diffId)?.fileBytes ?? 0
  const sum = (diffIds: Iterable<Digest>): number =>
    [...diffIds].reduce((total, diffId) => total + bytesOf(diffId), 0)
  const users = new Map<Digest, number>()
  for (const image of images)
    for (const diffId of new Set(image.layers)) users.set(diffId, (users.get(diffId) ?? 0) + 1)
  const used = new Set(images.filter(({ id }) => inUse.has(id)).flatMap((image) => image.layers))
  const blobBytes = content
    .list()
    .reduce((total, digest) => total + fs.statSync(content.path(digest)).size, 0)
  return {
    totalBytes: sum(users.keys()) + blobBytes,
    reclaimableBytes: sum([...users.keys()].filter((diffId) => !used.has(diffId))),
    partialBytes: leases.partialBytes(),
    uniqueBytes: new Map(
      images.map(({ id, layers: diffIds }) => [
        id,
        sum(new Set(diffIds.filter((diffId) => users.get(diffId) === 1))),
      ]),
    ),
  }
}
