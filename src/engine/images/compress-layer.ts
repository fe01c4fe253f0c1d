/**
 * A layer as registries keep them: compressed, on threads of libuv. The same layer gives the same bytes while zlib and zstd
 * stay the same: a header of theirs has neither a name nor a time.
 */
import { createHash } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import zlib from 'node:zlib'
import { TsstackError } from '../../errors.ts'
import type { ExpectedContent } from './content-store.ts'
import type { Compression } from './decompress.ts'

export type LayerCompression = Exclude<Compression, 'none'>

const CHUNK = 256 << 10

/**
 * In pieces of one size: a small file is no errand to another thread, and what comes out does not depend on how the bytes
 * came in.
 */
async function* inPieces(
  chunks: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  let piece = Buffer.allocUnsafe(CHUNK)
  let filled = 0
  for await (const chunk of chunks) {
    if (signal?.aborted === true) throw new TsstackError('CANCELLED', 'Cancelled')
    for (let at = 0; at < chunk.length;) {
      const copied = chunk.copy(piece, filled, at)
      at += copied
      filled += copied
      if (filled < CHUNK) continue
      yield piece
      piece = Buffer.allocUnsafe(CHUNK)
      filled = 0
    }
  }
  yield piece.subarray(0, filled)
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
  const handle = await open(file, 'wx', 0o600)
  try {
    const pieces = Readable.from(inPieces(plain, signal), { objectMode: true, highWaterMark: 4 })
    await pipeline(pieces, compressor, async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        hash.update(chunk)
        size += chunk.length
        await handle.writeFile(chunk)
      }
    })
  } catch (error) {
    await rm(file, { force: true })
    throw error
  } finally {
    await handle.close()
  }
  return { digest: `sha256:${hash.digest('hex')}`, size }
}
