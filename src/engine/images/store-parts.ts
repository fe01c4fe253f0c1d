/** The parts of an image store that each way of making an image works with. */
import type { CompressedLayers } from './compressed-layers.ts'
import type { ContentStore } from './content-store.ts'
import type { Holds } from './holds.ts'
import type { ImageRecords } from './image-records.ts'
import type { LayerRecord, LayerStore } from './layer-store.ts'
import {
  formatImageConfig,
  isDigest,
  type Digest,
  type Image,
  type ImageOrigin,
  type ParsedConfig,
} from './image.ts'
import type { PullLeases } from './pull-leases.ts'
import type { PullRecords } from './pull-records.ts'
import { formatManifest, MEDIA_TYPES, type Descriptor } from './manifest.ts'

export interface StoreParts {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly records: ImageRecords
  /** What garbage collection leaves alone: see pull-leases.ts and holds.ts. */
  readonly leases: PullLeases
  readonly holds: Holds
  readonly pulled: PullRecords
  readonly compressed: CompressedLayers
  /** Drafts; swept when the store opens. */
  readonly tmpDir: string
}

/** A layer of an image that is recorded; `packed` where it came from elsewhere and was kept as it came. */
export type ImageLayer = LayerRecord & { readonly packed?: Descriptor }

/**
 * Records an image whose layers are in the store: writes its configuration and its manifest. The descriptors of layers
 * that were never packed are those of the uncompressed tar files.
 */
export function addBuiltImage(
  { content, records }: StoreParts,
  config: Omit<ParsedConfig, 'layers'>,
  layers: readonly ImageLayer[],
  origin: ImageOrigin = {},
): Image {
  const diffIds = layers.map(({ diffId }) => diffId)
  const configText = formatImageConfig({ ...config, layers: diffIds }, origin)
  const id = content.put(configText)
  const manifest = formatManifest(
    { mediaType: MEDIA_TYPES.config, digest: id, size: Buffer.byteLength(configText) },
    layers.map(
      ({ diffId, tarBytes, packed }) =>
        packed ?? { mediaType: MEDIA_TYPES.layer, digest: diffId, size: tarBytes },
    ),
  )
  const image: Image = {
    ...config,
    id,
    digest: content.put(manifest),
    layers: diffIds,
    sizeBytes: layers.reduce((total, { fileBytes }) => total + fileBytes, 0),
    madeHere: true,
  }
  records.addImage(image)
  return image
}

/** Gives a new image its names. @param names - canonical */
export async function addImageNamed(
  { records }: StoreParts,
  image: Image,
  names: readonly string[],
): Promise<Image> {
  for (const name of names) await records.setReference(name, image.id)
  return image
}

/** All that must stay in the store while an image is read. */
export function contentOf(parts: StoreParts, image: Image): Digest[] {
  return [...image.layers, ...referencedBlobs(parts, image)]
}

/** The blobs that an image keeps in the store: its configuration, its manifest, and its layers as they were packed. */
export function referencedBlobs({ content }: StoreParts, image: Image): Digest[] {
  if (!content.has(image.digest)) return [image.id]
  const manifest = JSON.parse(content.read(image.digest).toString()) as {
    layers?: readonly Descriptor[]
  }
  const layers = (manifest.layers ?? []).map(({ digest }) => digest)
  return [image.id, image.digest, ...layers.filter(isDigest)]
}
