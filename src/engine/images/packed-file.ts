/** PackedFile: a part of an open file, as a value that threads of the process can pass to each other. */
import fs from 'node:fs'
import { detectCompression, type Compression } from './decompress.ts'

export interface PackedFile {
  /** Open for reading; whoever opened it closes it. */
  readonly fd: number
  /** Where it begins, in bytes. */
  readonly start: number
  readonly size: number
}

export interface OpenedFile {
  readonly file: PackedFile
  readonly close: () => void
}

/** The whole of a file, whose descriptor goes with it. */
export function openPacked(fd: number, size: number): OpenedFile {
  return {
    file: { fd, start: 0, size },
    close: () => {
      fs.closeSync(fd)
    },
  }
}

const CHUNK = 256 << 10

/** Reads it from front to end, on the calling thread; each chunk is a buffer of its own. */
export class PackedReader {
  readonly #file: PackedFile
  #at = 0

  constructor(file: PackedFile) {
    this.#file = file
  }

  /**
   * Ending this early leaves the rest for the next call.
   * @param buffer - that each chunk is in, until the next one; default: each has one of its own
   */
  async *chunks(buffer?: Buffer): AsyncGenerator<Buffer> {
    for (let chunk = this.#next(buffer); chunk.length > 0; chunk = this.#next(buffer))
      yield Promise.resolve(chunk)
  }

  #next(into?: Buffer): Buffer {
    const { fd, start, size } = this.#file
    const length = Math.min(into?.length ?? CHUNK, size - this.#at)
    const buffer = into ?? Buffer.allocUnsafe(length)
    const bytesRead = fs.readSync(fd, buffer, 0, length, start + this.#at)
    this.#at += bytesRead
    return buffer.subarray(0, bytesRead)
  }
}

/** Its content, for who takes streams; closes it. */
export async function* streamOf({ file, close }: OpenedFile): AsyncGenerator<Buffer> {
  try {
    yield* new PackedReader(file).chunks()
  } finally {
    close()
  }
}

export function compressionOf({ fd, start, size }: PackedFile): Compression {
  const head = Buffer.alloc(Math.min(4, size))
  return detectCompression(head.subarray(0, fs.readSync(fd, head, 0, head.length, start)))
}
