/** ByteSource: bytes that are read from front to end, from a stream or from a file in which one can skip. */
import type { FileHandle } from 'node:fs/promises'

export interface ByteSource {
  /** Where the next byte is, counted from the start. */
  readonly position: () => number
  /** Exactly `length` bytes, fewer only at the end. The buffer is valid until the next call. */
  readonly read: (length: number) => Promise<Buffer>
  /** The next `length` bytes, if they are at hand: without waiting. Valid until the next call. */
  readonly atHand: (length: number) => Buffer | undefined
  /** Between 1 and `limit` bytes, whatever is at hand; undefined at the end. Valid until the next call. */
  readonly take: (limit: number) => Promise<Buffer | undefined>
  /** @returns whether there were as many bytes */
  readonly skip: (length: number) => Promise<boolean>
}

const EMPTY = Buffer.alloc(0)

/** From a stream of chunks; bytes that are skipped pass through, so a digest on the way sees them. */
export function sourceFromChunks(chunks: AsyncIterable<Buffer>): ByteSource {
  const iterator = chunks[Symbol.asyncIterator]()
  let buffered: Buffer = EMPTY
  let position = 0

  async function take(limit: number): Promise<Buffer | undefined> {
    while (buffered.length === 0) {
      const next = await iterator.next()
      if (next.done === true) return undefined
      buffered = next.value
    }
    const taken = buffered.subarray(0, limit)
    buffered = buffered.subarray(taken.length)
    position += taken.length
    return taken
  }

  function atHand(length: number): Buffer | undefined {
    if (buffered.length < length) return undefined
    const taken = buffered.subarray(0, length)
    buffered = buffered.subarray(length)
    position += length
    return taken
  }

  return {
    position: () => position,
    atHand,
    take,
    async read(length) {
      const parts: Buffer[] = []
      for (let missing = length; missing > 0;) {
        const part = await take(missing)
        if (part === undefined) break
        parts.push(Buffer.from(part)) // it may be gone with the next
        missing -= part.length
      }
      return Buffer.concat(parts)
    },
    async skip(length) {
      for (let missing = length; missing > 0;) {
        const part = await take(missing)
        if (part === undefined) return false
        missing -= part.length
      }
      return true
    },
  }
}

const FILE_CHUNK = 256 << 10

/** Chunks of an open file, from `start`; `length` bytes or to its end. Each chunk is a buffer of its own. */
export async function* readChunks(
  handle: FileHandle,
  start = 0,
  length = Infinity,
): AsyncGenerator<Buffer> {
  for (let at = 0; at < length;) {
    const wanted = Math.min(FILE_CHUNK, length - at)
    const { bytesRead, buffer } = await handle.read(
      Buffer.allocUnsafe(wanted),
      0,
      wanted,
      start + at,
    )
    if (bytesRead === 0) return
    at += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** From an open file; skipping reads nothing. */
export function sourceFromFile(handle: FileHandle, size: number): ByteSource {
  let position = 0

  async function read(length: number): Promise<Buffer> {
    const wanted = Math.min(length, Math.max(size - position, 0))
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(wanted), 0, wanted, position)
    position += bytesRead
    return buffer.subarray(0, bytesRead)
  }

  return {
    position: () => position,
    atHand: () => undefined,
    read,
    async take(limit) {
      const chunk = await read(Math.min(limit, FILE_CHUNK))
      return chunk.length === 0 ? undefined : chunk
    },
    skip(length) {
      position += length
      return Promise.resolve(position <= size)
    },
  }
}
