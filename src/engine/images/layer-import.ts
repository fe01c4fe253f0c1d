/** From a packed layer to an extracted one, in one pass: stored, digested, decompressed, digested again, unpacked. */
import { createHash } from 'node:crypto'
import { TsstackError } from '../../errors.ts'
import { sourceFromChunks } from './byte-source.ts'
import type { ExpectedContent } from './content-store.ts'
import { decompress } from './decompress.ts'
import type { Digest } from './image.ts'
import { unpackLayer, type UnpackOptions } from './layer-unpack.ts'
import type { LayerRecord } from './layer-store.ts'
import type { StoreParts } from './store-parts.ts'

export interface PackedLayer {
  readonly open: () => AsyncIterable<Buffer>
  /** The digest of the uncompressed layer, as the configuration has it. */
  readonly diffId: Digest
  /** What the manifest says of the packed layer; absent where there is no manifest. */
  readonly expected?: ExpectedContent
}

export interface ImportedLayer {
  readonly record: LayerRecord
  /** Of the packed layer, for a manifest. */
  readonly packed: ExpectedContent
}

/** Beyond this many bytes after the end of the tar file a layer is not one. */
const MAX_TRAILER = 64 << 20

function wrongDiffId(diffId: Digest, actual: Digest): TsstackError {
  return new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot import layer "${diffId}": content has digest "${actual}"`,
  )
}

/**
 * Unpacks the tar file of a layer into an empty directory, digesting it on the way.
 * @throws as `unpackLayer`
 */
export async function unpackDigested(
  plain: AsyncIterable<Buffer>,
  tree: string,
  options: UnpackOptions = {},
): Promise<LayerRecord> {
  const hash = createHash('sha256')
  let tarBytes = 0
  async function* digested(): AsyncGenerator<Buffer> {
    for await (const chunk of plain) {
      hash.update(chunk)
      tarBytes += chunk.length
      yield chunk
    }
  }
  const source = sourceFromChunks(digested())
  const { fileBytes } = await unpackLayer(source, tree, options)
  const end = source.position()
  // What follows the end of the archive belongs to the digest all the same.
  for (;;) {
    const rest = await source.take(1 << 20)
    if (rest === undefined) break
    if (source.position() - end > MAX_TRAILER) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        'Cannot import layer: data follows the end of the archive',
      )
    }
  }
  return { diffId: `sha256:${hash.digest('hex')}`, tarBytes, fileBytes }
}

/** As `unpackDigested`. @throws {INVALID_ARGUMENT} it is another layer */
export async function unpackChecked(
  plain: AsyncIterable<Buffer>,
  diffId: Digest,
  { tree, options }: { readonly tree: string; readonly options: UnpackOptions },
): Promise<LayerRecord> {
  const record = await unpackDigested(plain, tree, options)
  if (record.diffId !== diffId) throw wrongDiffId(diffId, record.diffId)
  return record
}

/**
 * Brings a layer into the store, unless it is there.
 * @throws {INVALID_ARGUMENT} damaged, hostile, or not what its digests say; the store is unchanged then
 */
export async function importLayer(
  { content, layers }: StoreParts,
  layer: PackedLayer,
  options: UnpackOptions = {},
): Promise<ImportedLayer> {
  const { diffId, expected } = layer
  const existing = layers.find(diffId)
  if (existing !== undefined && expected !== undefined && content.has(expected.digest)) {
    return { record: existing, packed: expected }
  }
  if (existing !== undefined) {
    const { stored } = await content.ingest(layer.open(), expected, () => Promise.resolve())
    return { record: existing, packed: stored }
  }
  if (expected !== undefined && content.has(expected.digest)) {
    const plain = (): AsyncIterable<Buffer> => decompress(content.open(expected.digest))
    const record = await layers.make((tree) => unpackChecked(plain(), diffId, { tree, options }))
    return { record, packed: expected }
  }
  let packed: ExpectedContent | undefined
  // The packed layer is checked to its last byte before the extracted one appears.
  const record = await layers.make(async (tree) => {
    const { value, stored } = await content.ingest(layer.open(), expected, (chunks) =>
      unpackChecked(decompress(chunks), diffId, { tree, options }),
    )
    packed = stored
    return value
  })
  return { record, packed: packed ?? { digest: diffId, size: record.tarBytes } }
}
