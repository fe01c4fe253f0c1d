/**
 * A layer as registries keep them: compressed, on threads of libuv. The same layer gives the same bytes while zlib and zstd
 * stay the same: a header of theirs has neither a name nor a time.
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import zlib from 'node:zlib'
import { TsstackError } from '../../errors.ts'
import type { ExpectedContent } from './content-store.ts'
import type { Compression } from './decompress.ts'

export type LayerCompression = Exclude<Compression, 'none'>

const CHUNK = 256 << 10

async function* unlessAborted(
  chunks: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    if (signal?.aborted === true) throw new TsstackError('CANCELLED', 'Cancelled')
    yield chunk
  }
}

/**
 * Compresses a layer into a new file; of a failure nothing is left.
 * @throws {CANCELLED}; what reading the layer and writing the file throw
 */
export async function compressLayer(
  plain: AsyncIterable<Buffer>,
  file: string,
  options: { readonly compression: LayerCompression; readonly signal?: AbortSignal | undefined },
): Promise<ExpectedContent> {
  const { compression, signal } = options
  const compressor =
    compression === 'gzip'
      ? zlib.createGzip({ chunkSize: CHUNK })
      : zlib.createZstdCompress({ chunkSize: CHUNK })
  const hash = createHash('sha256')
  let size = 0
  async function* digested(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk)
      size += chunk.length
      yield chunk
    }
  }
  try {
    await pipeline(
      Readable.from(unlessAborted(plain, signal), { objectMode: true, highWaterMark: 4 }),
      compressor,
      digested,
      fs.createWriteStream(file, { flags: 'wx', mode: 0o600 }),
    )
  } catch (error) {
    fs.rmSync(file, { force: true })
    throw error
  }
  return { digest: `sha256:${hash.digest('hex')}`, size }
}
