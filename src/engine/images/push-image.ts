/** An image from the store to a registry: only what is missing there, the manifest last, so that it is whole or not there. */
import { parseName, splitRegistry, type NamedReference } from '../../registry/image-name.ts'
import type { BlobUpload, Registry } from '../../registry/registry.ts'
import type { Digest, Image } from './image.ts'
import { inParallel } from './in-parallel.ts'
import { describeManifest, parseManifest, type Descriptor } from './manifest.ts'
import { openBlob } from './packed-layer.ts'
import { pullFailure, withRegistry, type TransferOptions } from './pull-image.ts'
import { formatReference } from './reference.ts'
import { contentOf, referencedBlobs, type StoreParts } from './store-parts.ts'
import { TsstackError } from '../../errors.ts'

const LAYERS_AT_ONCE = 4
/** Repositories that a blob is looked for in. */
const MAX_SOURCES = 4

export interface PushedImage {
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
    for (const digest of referencedBlobs(parts, image)) {
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
  readonly options: TransferOptions
}

async function pushLayer(
  parts: StoreParts,
  { registry, repository, sources, options }: Push,
  layer: { readonly descriptor: Descriptor; readonly diffId: Digest },
): Promise<void> {
  const { digest, size } = layer.descriptor
  const { onLayer } = options
  const upload: BlobUpload = {
    digest,
    size,
    mountFrom: sources.get(digest) ?? [],
    open: (from) => openBlob(parts, digest, layer.diffId, from),
    onProgress: (current) => onLayer?.({ digest, state: 'uploading', current, total: size }),
  }
  const outcome = await registry.upload(repository, upload)
  const states = { present: 'present', mounted: 'mounted', sent: 'pushed' } as const
  onLayer?.({ digest, state: states[outcome] })
}

async function pushLayers(parts: StoreParts, push: Push, image: Image): Promise<void> {
  const manifest = parseManifest(parts.content.read(image.digest), image.digest)
  if (manifest.kind !== 'image') throw new TsstackError('INTERNAL', 'Cannot push an index')
  const layers = manifest.layers.map((descriptor, index) => ({
    descriptor,
    diffId: image.layers[index] ?? '',
  }))
  const pending = layers.filter(
    ({ descriptor }, index) =>
      layers.findIndex((other) => other.descriptor.digest === descriptor.digest) === index,
  )
  for (const { descriptor } of pending)
    push.options.onLayer?.({ digest: descriptor.digest, state: 'waiting', total: descriptor.size })
  await inParallel(pending, LAYERS_AT_ONCE, (layer) => pushLayer(parts, push, layer))
  const { config } = manifest
  const mountFrom = push.sources.get(config.digest) ?? []
  const open = (from: number): AsyncIterable<Buffer> => parts.content.open(config.digest, from)
  await push.registry.upload(push.repository, { ...config, mountFrom, open })
}

/**
 * Pushes an image under a name.
 * @throws {PERMISSION_DENIED} {NOT_FOUND} {UNAVAILABLE} {CANCELLED} {FAILED_PRECONDITION}
 */
export async function pushImage(
  parts: StoreParts,
  { image, reference }: { readonly image: Image; readonly reference: NamedReference },
  options: TransferOptions,
): Promise<PushedImage> {
  const { registry: registryName, repository } = splitRegistry(reference.name)
  const bytes = parts.content.read(image.digest)
  const work = async (registry: Registry): Promise<void> => {
    const sources = mountSources(parts, reference)
    await pushLayers(parts, { registry, repository, sources, options }, image)
    const { mediaType } = describeManifest(bytes, image.digest)
    const manifest = { bytes, mediaType }
    await registry.putManifest(repository, reference.tag ?? 'latest', manifest)
    const canonical = formatReference(reference)
    const pushed = { remoteDigest: image.digest, imageId: image.id, checkedAtMs: Date.now() }
    parts.pulled.set({ reference: canonical, ...pushed })
  }
  const hold = parts.holds.open()
  hold.add(contentOf(parts, image))
  try {
    const settings = { ...options.settings, mirrors: [] } // they are read only
    await withRegistry(registryName, { ...options, settings }, work)
  } catch (error) {
    throw pullFailure(reference, error, 'push')
  } finally {
    hold.release()
  }
  return { digest: image.digest, size: bytes.length }
}
