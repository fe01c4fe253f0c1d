/** Layers as they are packed: plain, gzip or zstd, told by their first bytes rather than by what is claimed of them. */
import { pipeline, Readable } from 'node:stream'
import zlib from 'node:zlib'
import { TsstackError } from '../../errors.ts'

export type Compression = 'none' | 'gzip' | 'zstd'

const CHUNK = 256 << 10

/** By the magic number in the first four bytes (RFC 1952, RFC 8878). */
export function detectCompression(head: Buffer): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  return head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528 ? 'zstd' : 'none'
}

async function* prepend(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield first
    for (let next = await rest.next(); next.done !== true; next = await rest.next())
      yield next.value
  } finally {
    await rest.return?.()
  }
}

async function* inflate(
  packed: AsyncIterable<Buffer>,
  compression: 'gzip' | 'zstd',
): AsyncGenerator<Buffer> {
  const decompressor =
    compression === 'gzip'
      ? zlib.createGunzip({ chunkSize: CHUNK })
      : zlib.createZstdDecompress({ chunkSize: CHUNK })
  // A failure of either side ends the loop below with that failure.
  pipeline(
    Readable.from(packed, { objectMode: true, highWaterMark: 4 }),
    decompressor,
    () => undefined,
  )
  try {
    for await (const chunk of decompressor) yield chunk as Buffer
  } catch (error) {
    if (error instanceof TsstackError) throw error
    const { code } = error as NodeJS.ErrnoException
    const state =
      code === 'Z_BUF_ERROR' ? `${compression} data is truncated` : `${compression} data is damaged`
    throw new TsstackError('INVALID_ARGUMENT', `Cannot read archive: ${state}`, { cause: error })
  }
}

/**
 * The unpacked content of a stream.
 * @throws {INVALID_ARGUMENT} truncated or damaged
 */
export async function* decompress(packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = packed[Symbol.asyncIterator]()
  const first = await iterator.next()
  if (first.done === true) return
  const whole = prepend(first.value, iterator)
  const compression = detectCompression(first.value)
  yield* compression === 'none' ? whole : inflate(whole, compression)
}
