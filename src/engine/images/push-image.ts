/** An image from the store to a registry: only what is missing there, the manifest last, so that it is whole or not there. */
import { splitRegistry, type NamedReference } from '../../registry/image-name.ts'
import type { BlobUpload, Registry } from '../../registry/registry.ts'
import type { Digest, Image } from './image.ts'
import { parseManifest, type Descriptor } from './manifest.ts'
import { openBlob } from './packed-layer.ts'
import { pullFailure, withRegistry, type TransferOptions } from './pull-image.ts'
import type { StoreParts } from './store-parts.ts'
import { TsstackError, toTsstackError } from '../../errors.ts'

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const LAYERS_AT_ONCE = 4

export interface PushedImage {
  readonly digest: Digest
  /** Bytes of the manifest. */
  readonly size: number
}

/** Repositories of the same registry that the store knows for the image: they may have its blobs. */
function siblings({ records }: StoreParts, image: Image, reference: NamedReference): string[] {
  const { registry, repository } = splitRegistry(reference.name)
  const names = [...records.references]
    .filter(([name, id]) => id === image.id && name.startsWith(`${registry}/`))
    .map(([name]) => splitRegistry(name).repository.replace(/[:@].*$/, ''))
  return [...new Set(names)].filter((name) => name !== repository).slice(0, 4)
}

interface Push {
  readonly registry: Registry
  readonly repository: string
  readonly mountFrom: readonly string[]
  readonly options: TransferOptions
}

async function pushLayer(
  parts: StoreParts,
  { registry, repository, mountFrom, options }: Push,
  layer: { readonly descriptor: Descriptor; readonly diffId: Digest },
): Promise<void> {
  const { digest, size } = layer.descriptor
  const { onLayer } = options
  const upload: BlobUpload = {
    digest,
    size,
    mountFrom,
    open: () => openBlob(parts, digest, layer.diffId),
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
  let failure: unknown
  const worker = async (): Promise<void> => {
    for (let next = pending.shift(); next !== undefined; next = pending.shift())
      await pushLayer(parts, push, next)
  }
  const guarded = (): Promise<void> =>
    worker().catch((error: unknown) => {
      failure ??= error
      pending.length = 0
    })
  await Promise.all(Array.from({ length: LAYERS_AT_ONCE }, guarded))
  if (failure !== undefined) throw toTsstackError(failure)
  const { config } = manifest
  const open = (): AsyncIterable<Buffer> => parts.content.open(config.digest)
  await push.registry.upload(push.repository, { ...config, open })
}

function mediaTypeOf(bytes: Buffer): string {
  const { mediaType } = JSON.parse(bytes.toString('utf8')) as { mediaType?: unknown }
  return typeof mediaType === 'string' ? mediaType : MANIFEST_TYPE
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
    const mountFrom = siblings(parts, image, reference)
    await pushLayers(parts, { registry, repository, mountFrom, options }, image)
    const manifest = { bytes, mediaType: mediaTypeOf(bytes) }
    await registry.putManifest(repository, reference.tag ?? 'latest', manifest)
  }
  try {
    const settings = { ...options.settings, mirrors: [] } // they are read only
    await withRegistry(registryName, { ...options, settings }, work)
  } catch (error) {
    throw pullFailure(reference, error, 'push')
  }
  return { digest: image.digest, size: bytes.length }
}
