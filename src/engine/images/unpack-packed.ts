/**
 * One packed layer from a file into a directory, in one pass: digested, copied, decompressed, digested again, unpacked. What
 * it is asked and what it answers are plain values, for it may run on a thread of its own (unpack-threads.ts).
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { TsstackError } from '../../errors.ts'
import { sourceFromChunks } from './byte-source.ts'
import type { ExpectedContent } from './content-store.ts'
import { decompress } from './decompress.ts'
import type { Digest } from './image.ts'
import type { LayerRecord } from './layer-store.ts'
import { unpackLayer, type UnpackOptions } from './layer-unpack.ts'
import { compressionOf, PackedReader, type PackedFile } from './packed-file.ts'

export interface UnpackRequest {
  readonly packed: PackedFile
  /** An empty directory. */
  readonly tree: string
  /** A file to make, which gets the layer as it is packed; or what the packed layer is, when it has been checked. */
  readonly blob: { readonly copy: string } | { readonly known: ExpectedContent }
}

export interface UnpackedLayer extends LayerRecord {
  /** Of the packed layer, for a manifest. */
  readonly packed: ExpectedContent
}

const CHUNK = 256 << 10

/** Beyond this many bytes after the end of the tar file a layer is not one. */
const MAX_TRAILER = 64 << 20

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

/** @throws {INVALID_ARGUMENT} it is another layer than it should be */
export function checkLayer<T extends LayerRecord>(record: T, diffId: Digest): T {
  if (record.diffId === diffId) return record
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot import layer "${diffId}": content has digest "${record.diffId}"`,
  )
}

/** Of a packed layer on its way: its digest, and its copy. */
class CopyOf {
  readonly #fd: number
  readonly #hash = createHash('sha256')
  readonly #reader: PackedReader
  readonly #isDigested: boolean
  #size = 0

  /** @param isDigested - false where somebody else digests the same bytes */
  constructor(packed: PackedFile, file: string, isDigested: boolean) {
    this.#reader = new PackedReader(packed)
    this.#isDigested = isDigested
    this.#fd = fs.openSync(file, 'wx', 0o600)
  }

  /** Ending this early leaves the rest for the next call. */
  async *chunks(buffer?: Buffer): AsyncGenerator<Buffer> {
    for await (const chunk of this.#reader.chunks(buffer)) {
      if (this.#isDigested) this.#hash.update(chunk)
      for (let at = 0; at < chunk.length;) at += fs.writeSync(this.#fd, chunk, at)
      this.#size += chunk.length
      yield chunk
    }
  }

  /** Takes what the consumer has left. @param known - the digest, where somebody else has it */
  async finish(known?: string): Promise<ExpectedContent> {
    const rest = this.chunks()
    while ((await rest.next()).done !== true);
    return { digest: known ?? `sha256:${this.#hash.digest('hex')}`, size: this.#size }
  }

  close(): void {
    fs.closeSync(this.#fd)
  }
}

/** Copies a packed layer into a new file. */
export async function copyPacked(packed: PackedFile, file: string): Promise<ExpectedContent> {
  const copying = new CopyOf(packed, file, true)
  try {
    return await copying.finish()
  } finally {
    copying.close()
  }
}

/**
 * @throws {INVALID_ARGUMENT} damaged or hostile
 * @throws {FAILED_PRECONDITION} no space is left
 */
export async function unpackPacked({ packed, tree, blob }: UnpackRequest): Promise<UnpackedLayer> {
  // Not told again by its bytes: whoever owns the file may write to it meanwhile.
  const isPlain = compressionOf(packed) === 'none'
  if ('known' in blob) {
    const reader = new PackedReader(packed)
    const plain = isPlain ? reader.chunks(Buffer.allocUnsafe(CHUNK)) : decompress(reader.chunks())
    return { ...(await unpackDigested(plain, tree)), packed: blob.known }
  }
  const copying = new CopyOf(packed, blob.copy, !isPlain)
  try {
    const plain = isPlain ? copying.chunks(Buffer.allocUnsafe(CHUNK)) : decompress(copying.chunks())
    const record = await unpackDigested(plain, tree)
    return { ...record, packed: await copying.finish(isPlain ? record.diffId : undefined) }
  } finally {
    copying.close()
  }
}
