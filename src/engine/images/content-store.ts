/**
 * Content by its digest: configurations, manifests, and the layers of imported images as they were packed.
 *
 *   <root>/blobs/sha256/<hex>     content; its name is its digest
 *   <root>/tmp/<random>           being written
 */
import { createHash, randomUUID, type Hash } from 'node:crypto'
import fs from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { readChunks } from './byte-source.ts'
import type { Durability } from './durability.ts'
import { digestOf, hexOf, isDigest, type Digest } from './image.ts'

export interface ExpectedContent {
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
}

/** What passes through a blob's making: written to the draft, digested and counted on the way. */
class Passage {
  readonly #source: AsyncIterator<Buffer>
  readonly #draft: FileHandle
  readonly #limit: number
  readonly #hash: Hash = createHash('sha256')
  size = 0

  constructor(source: AsyncIterable<Buffer>, draft: FileHandle, limit: number) {
    this.#source = source[Symbol.asyncIterator]()
    this.#draft = draft
    this.#limit = limit
  }

  /** Ending this early leaves the rest for the next call. */
  async *chunks(): AsyncGenerator<Buffer> {
    for (;;) {
      const next = await this.#source.next()
      if (next.done === true) return
      this.size += next.value.length
      if (this.size > this.#limit) {
        throw new TsstackError(
          'INVALID_ARGUMENT',
          `Cannot store blob: it is larger than ${this.#limit} bytes`,
        )
      }
      this.#hash.update(next.value)
      await this.#draft.writeFile(next.value)
      yield next.value
    }
  }

  /** Takes what the consumer has left. */
  async finish(): Promise<ExpectedContent> {
    const rest = this.chunks()
    while ((await rest.next()).done !== true);
    return { digest: `sha256:${this.#hash.digest('hex')}`, size: this.size }
  }

  async close(): Promise<void> {
    await this.#source.return?.()
    await this.#draft.close()
  }
}

/** Opened once for each store; all writes appear by a rename. */
export class ContentStore {
  readonly #directory: string
  readonly #tmpDir: string
  readonly #durability: Durability

  /** @param durability - told of each blob, so that a power failure leaves none half-written */
  constructor(root: string, durability: Durability) {
    this.#directory = path.join(root, 'blobs', 'sha256')
    this.#tmpDir = path.join(root, 'tmp')
    this.#durability = durability
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    fs.mkdirSync(this.#tmpDir, { recursive: true, mode: 0o700 })
  }

  has(digest: Digest): boolean {
    return fs.existsSync(this.path(digest))
  }

  path(digest: Digest): string {
    if (isDigest(digest)) return path.join(this.#directory, hexOf(digest))
    throw new TsstackError('INVALID_ARGUMENT', `Cannot name blob "${digest}": not a digest`)
  }

  /** For small content. @throws {NOT_FOUND} */
  read(digest: Digest): Buffer {
    try {
      return fs.readFileSync(this.path(digest))
    } catch (cause) {
      throw new TsstackError('NOT_FOUND', `Cannot read blob "${digest}": not in the store`, {
        cause,
      })
    }
  }

  /** Stores small content. */
  put(content: string | Uint8Array): Digest {
    const digest = digestOf(content)
    if (this.has(digest)) return digest
    const draft = path.join(this.#tmpDir, randomUUID())
    fs.writeFileSync(draft, content, { mode: 0o600 })
    this.#commit(draft, digest)
    return digest
  }

  /**
   * Stores a stream while `consume` reads it. Kept only if `consume` succeeds and the digest is the expected one.
   * @throws {INVALID_ARGUMENT} digest or size differ
   */
  async ingest<T>(
    source: AsyncIterable<Buffer>,
    expected: ExpectedContent | undefined,
    consume: (chunks: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<{ readonly value: T; readonly stored: ExpectedContent }> {
    const draft = path.join(this.#tmpDir, randomUUID())
    const passage = new Passage(source, await open(draft, 'wx', 0o600), expected?.size ?? Infinity)
    try {
      const value = await consume(passage.chunks())
      const stored = await passage.finish()
      if (
        expected !== undefined &&
        (stored.digest !== expected.digest || stored.size !== expected.size)
      ) {
        const state = `its ${stored.size} bytes have digest "${stored.digest}"`
        throw new TsstackError(
          'INVALID_ARGUMENT',
          `Cannot store blob "${expected.digest}": ${state}`,
        )
      }
      this.#commit(draft, stored.digest)
      return { value, stored }
    } finally {
      await passage.close()
      fs.rmSync(draft, { force: true })
    }
  }

  /** Takes a file of the same file system whose digest has been checked. */
  adopt(file: string, digest: Digest): void {
    this.#commit(file, digest)
  }

  /** Bytes. @throws {NOT_FOUND} */
  size(digest: Digest): number {
    const stat = fs.statSync(this.path(digest), { throwIfNoEntry: false })
    if (stat !== undefined) return stat.size
    throw new TsstackError('NOT_FOUND', `Cannot read blob "${digest}": not in the store`)
  }

  /** The content, from a byte on. @throws {NOT_FOUND} */
  async *open(digest: Digest, start = 0): AsyncGenerator<Buffer> {
    this.size(digest)
    const handle = await open(this.path(digest), 'r')
    try {
      yield* readChunks(handle, start)
    } finally {
      await handle.close()
    }
  }

  list(): Digest[] {
    return fs
      .readdirSync(this.#directory)
      .map((hex) => `sha256:${hex}`)
      .filter(isDigest)
  }

  remove(digest: Digest): void {
    fs.rmSync(this.path(digest), { force: true })
  }

  #commit(draft: string, digest: Digest): void {
    this.#durability.expect('blobs', hexOf(digest))
    fs.renameSync(draft, this.path(digest))
    this.#durability.settle()
  }
}
