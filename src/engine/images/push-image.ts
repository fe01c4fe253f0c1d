/**
 * An image from the store to a registry: only what is missing there, the manifest last, so that it is whole or not there.
 * Plain layers of images that were made here are compressed on their way; images from elsewhere go as they came.
 */
import fs from 'node:fs'
import { parseName, splitRegistry, type NamedReference } from '../../registry/image-name.ts'
import type { BlobUpload, Registry } from '../../registry/registry.ts'
import { compressLayer, type LayerCompression } from './compress-layer.ts'
import type { Compression } from './decompress.ts'
import { digestOf, type Digest, type Image } from './image.ts'
import { inParallel } from './in-parallel.ts'
import {
  describeManifest,
  formatManifest,
  MEDIA_TYPES,
  parseManifest,
  type Descriptor,
} from './manifest.ts'
import { isUnpackedOnly, openBlob } from './packed-layer.ts'
import { pullFailure, withRegistry, type TransferOptions } from './pull-image.ts'
import { formatReference } from './reference.ts'
import { contentOf, referencedBlobs, type StoreParts } from './store-parts.ts'
import { TsstackError } from '../../errors.ts'

const LAYERS_AT_ONCE = 4
/** Repositories that a blob is looked for in. */
const MAX_SOURCES = 4

export interface PushOptions extends TransferOptions {
  /** Of plain layers, if the image was made here. Default: gzip, which everybody reads. */
  readonly compression?: Compression | undefined
}

export interface PushedImage {
  /** Of the manifest in the registry. */
  readonly digest: Digest
  /** Bytes of the manifest. */
  readonly size: number
}

/**
 * Where the registry has blobs already, as far as the store knows: repositories that it has pulled from or pushed to, by
 * the blobs of the images that they gave or got.
 */
function mountSources(parts: StoreParts, target: NamedReference): ReadonlyMap<Digest, string[]> {
  const { registry, repository } = splitRegistry(target.name)
  const sources = new Map<Digest, string[]>()
  for (const { reference, imageId } of parts.pulled.list()) {
    const parsed = parseName(reference)
    const other = splitRegistry(parsed.name)
    const image = parts.records.images.get(imageId)
    if (other.registry !== registry || other.repository === repository || image === undefined)
      continue
    const compressed = image.layers.flatMap((diffId) => parts.compressed.list(diffId))
    const digests = compressed.map(({ digest }) => digest)
    for (const digest of [...referencedBlobs(parts, image), ...digests]) {
      const known = sources.get(digest) ?? []
      if (known.length < MAX_SOURCES && !known.includes(other.repository))
        sources.set(digest, [...known, other.repository])
    }
  }
  return sources
}

interface Push {
  readonly registry: Registry
  readonly repository: string
  readonly sources: ReadonlyMap<Digest, readonly string[]>
  readonly options: PushOptions
}

interface PushedLayer {
  readonly image: Image
  /** As the store's manifest has it. */
  readonly descriptor: Descriptor
  readonly diffId: Digest
}

/** Sends what `open` gives. @param layer - what progress is told of */
async function send(
  { registry, repository, sources, options: { onLayer } }: Push,
  layer: Digest,
  { digest, size, open }: Pick<Descriptor, 'digest' | 'size'> & Pick<BlobUpload, 'open'>,
): Promise<void> {
  const outcome = await registry.upload(repository, {
    ...{ digest, size, open },
    mountFrom: sources.get(digest) ?? [],
    onProgress: (current) => onLayer?.({ digest: layer, state: 'uploading', current, total: size }),
  })
  onLayer?.({ digest: layer, state: outcome === 'sent' ? 'pushed' : outcome })
}

/** @returns what the registry has of the layer now */
async function pushCompressed(
  parts: StoreParts,
  push: Push,
  { diffId, compression }: { readonly diffId: Digest; readonly compression: LayerCompression },
): Promise<Descriptor> {
  const { registry, repository, sources, options } = push
  const { onLayer, signal } = options
  const mediaType = `${MEDIA_TYPES.layer}+${compression}`
  const known = parts.compressed.find(diffId, compression)
  if (known !== undefined) {
    const mountFrom = sources.get(known.digest) ?? []
    const found = await registry.find(repository, { digest: known.digest, mountFrom })
    if (found !== undefined) {
      onLayer?.({ digest: diffId, state: found })
      return { mediaType, ...known }
    }
  }
  onLayer?.({ digest: diffId, state: 'compressing' })
  const file = parts.content.draft()
  const plain = openBlob(parts, diffId, diffId)
  const compressed = await compressLayer(plain, file, { compression, signal })
  parts.compressed.set(diffId, compression, compressed)
  try {
    await send(push, diffId, {
      ...compressed,
      open: (start) => fs.createReadStream(file, { start }),
    })
  } finally {
    fs.rmSync(file, { force: true })
  }
  return { mediaType, ...compressed }
}

/** @returns as `pushCompressed` */
async function pushLayer(
  parts: StoreParts,
  push: Push,
  { image, descriptor, diffId }: PushedLayer,
): Promise<Descriptor> {
  const { digest } = descriptor
  const { compression = 'gzip' } = push.options
  const isMadeHere = image.madeHere === true || isUnpackedOnly(parts, digest, diffId)
  if (compression !== 'none' && isMadeHere && digest === diffId)
    return pushCompressed(parts, push, { diffId, compression })
  const open = (from: number): AsyncIterable<Buffer> => openBlob(parts, digest, diffId, from)
  await send(push, digest, { ...descriptor, open })
  return descriptor
}

/** Pushes all that a manifest names. @returns the manifest for the registry: the store's own if nothing was compressed */
async function pushContent(parts: StoreParts, push: Push, image: Image): Promise<Buffer> {
  const bytes = parts.content.read(image.digest)
  const manifest = parseManifest(bytes, image.digest)
  if (manifest.kind !== 'image') throw new TsstackError('INTERNAL', 'Cannot push an index')
  const layers = new Map<Digest, PushedLayer>()
  for (const [index, descriptor] of manifest.layers.entries())
    layers.set(descriptor.digest, { image, descriptor, diffId: image.layers[index] ?? '' })
  for (const { descriptor } of layers.values())
    push.options.onLayer?.({ digest: descriptor.digest, state: 'waiting', total: descriptor.size })
  const pushed = new Map<Digest, Descriptor>()
  await inParallel([...layers.values()], LAYERS_AT_ONCE, async (layer) => {
    pushed.set(layer.descriptor.digest, await pushLayer(parts, push, layer))
  })
  const { config } = manifest
  const mountFrom = push.sources.get(config.digest) ?? []
  const open = (from: number): AsyncIterable<Buffer> => parts.content.open(config.digest, from)
  await push.registry.upload(push.repository, { ...config, mountFrom, open })
  const isAsItWas = [...pushed].every(([digest, descriptor]) => digest === descriptor.digest)
  if (isAsItWas) return bytes
  // It was written here too, so nothing of it is lost.
  return Buffer.from(
    formatManifest(
      config,
      manifest.layers.map((layer) => pushed.get(layer.digest) ?? layer),
    ),
  )
}

/**
 * Pushes an image under a name.
 * @throws {PERMISSION_DENIED} {NOT_FOUND} {UNAVAILABLE} {CANCELLED} {FAILED_PRECONDITION}
 */
export async function pushImage(
  parts: StoreParts,
  { image, reference }: { readonly image: Image; readonly reference: NamedReference },
  options: PushOptions,
): Promise<PushedImage> {
  const { registry: registryName, repository } = splitRegistry(reference.name)
  const work = async (registry: Registry): Promise<PushedImage> => {
    const sources = mountSources(parts, reference)
    const bytes = await pushContent(parts, { registry, repository, sources, options }, image)
    const digest = digestOf(bytes)
    const { mediaType } = describeManifest(bytes, digest)
    await registry.putManifest(repository, reference.tag ?? 'latest', { bytes, mediaType })
    const canonical = formatReference(reference)
    const pushed = { remoteDigest: digest, manifestDigest: digest, imageId: image.id }
    parts.pulled.set({ reference: canonical, ...pushed, checkedAtMs: Date.now() })
    return { digest, size: bytes.length }
  }
  const hold = parts.holds.open()
  hold.add(contentOf(parts, image))
  try {
    const settings = { ...options.settings, mirrors: [] } // they are read only
    return await withRegistry(registryName, { ...options, settings }, work)
  } catch (error) {
    throw pullFailure(reference, error, 'push')
  } finally {
    hold.release()
  }
}
