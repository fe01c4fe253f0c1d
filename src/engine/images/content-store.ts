/**
 * Content by its digest: configurations, manifests, and the layers of imported images as they were packed.
 *
 *   <root>/blobs/sha256/<hex>     content; its name is its digest
 *   <root>/tmp/<random>           being written
 */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { readChunks } from './byte-source.ts'
import type { Compression } from './decompress.ts'
import type { Durability } from './durability.ts'
import { digestOf, hexOf, isDigest, type Digest } from './image.ts'
import { compressionOf, openPacked, type OpenedFile } from './packed-file.ts'

export interface ExpectedContent {
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
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
    const draft = this.draft()
    fs.writeFileSync(draft, content, { mode: 0o600 })
    this.#commit(draft, digest)
    return digest
  }

  /** A name for a file that `adopt` will take. */
  draft(): string {
    return path.join(this.#tmpDir, randomUUID())
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

  /** How it is packed, if it is a layer. @throws {NOT_FOUND} */
  compression(digest: Digest): Compression {
    const { file, close } = this.openFile(digest)
    try {
      return compressionOf(file)
    } finally {
      close()
    }
  }

  /** @throws {NOT_FOUND} */
  openFile(digest: Digest): OpenedFile {
    const size = this.size(digest)
    return openPacked(fs.openSync(this.path(digest), 'r'), size)
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
