/** A blob that is sent: read once from front to end, in pieces; opened anew where another place is wanted. */
import { TsstackError } from '../errors.ts'
import type { BlobUpload } from './registry.ts'

interface Reading {
  readonly source: AsyncIterator<Buffer>
  position: number
  /** What is left of the chunk that was read last. */
  rest: Buffer
}

async function take(reading: Reading, limit: number): Promise<Buffer | undefined> {
  while (reading.rest.length === 0) {
    const next = await reading.source.next()
    if (next.done === true) return undefined
    reading.rest = next.value
  }
  const taken = reading.rest.subarray(0, limit)
  reading.rest = reading.rest.subarray(taken.length)
  reading.position += taken.length
  return taken
}

/** `close` when nothing more is wanted. */
export class BlobReader {
  readonly #blob: BlobUpload
  /** Where the last piece has ended; nobody's while a piece is read, for one that is given up may still be at it. */
  #idle: Reading | undefined

  constructor(blob: BlobUpload) {
    this.#blob = blob
  }

  /**
   * `length` bytes at `from`.
   * @throws {FAILED_PRECONDITION} the blob is not as long as it is said to be; what its source throws
   */
  async *piece(from: number, length: number): AsyncGenerator<Buffer> {
    const { size, onProgress } = this.#blob
    const reading = await this.#readingAt(from)
    let isComplete = false
    try {
      while (reading.position < from + length) {
        const chunk = await take(reading, from + length - reading.position)
        if (chunk === undefined) throw this.#wrongSize(`${reading.position} of`)
        yield chunk
        onProgress?.(reading.position)
      }
      // Its source may have something to say about the whole.
      const isEnd = reading.position === size
      if (isEnd && (await take(reading, 1)) !== undefined) throw this.#wrongSize('more than')
      isComplete = true
    } finally {
      if (isComplete) this.#idle = reading
      else await reading.source.return?.()
    }
  }

  async close(): Promise<void> {
    await this.#idle?.source.return?.()
    this.#idle = undefined
  }

  async #readingAt(from: number): Promise<Reading> {
    const idle = this.#idle
    this.#idle = undefined
    if (idle?.position === from) return idle
    await idle?.source.return?.()
    const source = this.#blob.open(from)[Symbol.asyncIterator]()
    return { source, position: from, rest: Buffer.alloc(0) }
  }

  #wrongSize(amount: string): TsstackError {
    const { digest, size } = this.#blob
    return new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot send blob "${digest}": it has ${amount} the ${size} bytes that its manifest says`,
      { hint: 'Remove the image, and pull or make it again' },
    )
  }
}
