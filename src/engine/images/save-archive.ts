/**
 * Images as one tar archive, that both an OCI image layout and what `docker save` writes (since Docker 25 it is both):
 *
 *   blobs/sha256/<hex>    configurations, manifests, layers as they are packed
 *   index.json            OCI: the manifests with their names
 *   manifest.json         Docker: configuration, names and layers of each image
 *   oci-layout
 *
 * Sorted, without times: the same images give the same bytes.
 */
import type { Digest, Image } from './image.ts'
import { hexOf } from './image.ts'
import { describeManifest, parseManifest } from './manifest.ts'
import { openBlob } from './packed-layer.ts'
import { familiarReference } from './reference.ts'
import { contentOf, type StoreParts } from './store-parts.ts'
import { TAR_END, tarHeader, tarPadding } from './tar-writer.ts'
import { TsstackError } from '../../errors.ts'

export interface SavedImage {
  readonly image: Image
  /** Canonical. */
  readonly names: readonly string[]
}

interface Blob {
  readonly digest: Digest
  readonly size: number
  /** Of a layer; '' for others. */
  readonly diffId: Digest
}

interface Described {
  readonly blobs: readonly Blob[]
  readonly index: Readonly<Record<string, unknown>>[]
  readonly docker: Readonly<Record<string, unknown>>
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`
}

function tagOf(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1)
}

function describe(parts: StoreParts, { image, names }: SavedImage): Described {
  const bytes = parts.content.read(image.digest)
  const manifest = parseManifest(bytes, image.digest)
  if (manifest.kind !== 'image')
    throw new TsstackError('INTERNAL', `Cannot save image "${image.id}": it is an index`)
  const layers = manifest.layers.map(({ digest, size }, index): Blob => ({
    digest,
    size,
    diffId: image.layers[index] ?? '',
  }))
  const descriptor = describeManifest(bytes, image.digest)
  const platform = { architecture: image.architecture, os: image.os }
  const named = names.map((name) => ({
    ...descriptor,
    annotations: {
      'io.containerd.image.name': name,
      'org.opencontainers.image.ref.name': tagOf(name),
    },
    platform,
  }))
  const config = { digest: image.id, size: parts.content.size(image.id), diffId: '' }
  return {
    blobs: [config, { digest: image.digest, size: bytes.length, diffId: '' }, ...layers],
    index: named.length === 0 ? [{ ...descriptor, platform }] : named,
    docker: {
      Config: blobPath(image.id),
      RepoTags: names.map(familiarReference),
      Layers: layers.map(({ digest }) => blobPath(digest)),
    },
  }
}

function* directory(path: string): Generator<Buffer> {
  yield tarHeader({ type: 'directory', path, mode: 0o755, uid: 0, gid: 0, mtime: 0 })
}

function* document(path: string, value: unknown): Generator<Buffer> {
  const content = Buffer.from(JSON.stringify(value))
  yield tarHeader({ type: 'content', path, mode: 0o644, uid: 0, gid: 0, mtime: 0, content })
  yield content
  yield tarPadding(content.length)
}

async function* blobEntry(
  parts: StoreParts,
  { digest, size, diffId }: Blob,
): AsyncGenerator<Buffer> {
  const attributes = { path: blobPath(digest), mode: 0o644, uid: 0, gid: 0, mtime: 0 }
  yield tarHeader({ type: 'file', ...attributes, source: '', size })
  yield* openBlob(parts, digest, diffId)
  yield tarPadding(size)
}

/**
 * The archive, while it is made; an image that is removed meanwhile comes out whole.
 * @throws {FAILED_PRECONDITION} a layer is not any more what it was
 */
export async function* saveArchive(
  parts: StoreParts,
  images: readonly SavedImage[],
): AsyncGenerator<Buffer> {
  const hold = parts.holds.open()
  try {
    for (const { image } of images) hold.add(contentOf(parts, image))
    yield* archiveOf(parts, images)
  } finally {
    hold.release()
  }
}

async function* archiveOf(
  parts: StoreParts,
  images: readonly SavedImage[],
): AsyncGenerator<Buffer> {
  const sorted = images.toSorted((a, b) => (a.image.id < b.image.id ? -1 : 1))
  const described = sorted.map((saved) => describe(parts, saved))
  const blobs = new Map(described.flatMap((one) => one.blobs).map((blob) => [blob.digest, blob]))
  yield* directory('blobs')
  yield* directory('blobs/sha256')
  for (const [, blob] of [...blobs].sort(([a], [b]) => (a < b ? -1 : 1)))
    yield* blobEntry(parts, blob)
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const manifests = described.flatMap(({ index }) => index)
  yield* document('index.json', { schemaVersion: 2, mediaType, manifests })
  yield* document(
    'manifest.json',
    described.map(({ docker }) => docker),
  )
  yield* document('oci-layout', { imageLayoutVersion: '1.0.0' })
  yield TAR_END
}
