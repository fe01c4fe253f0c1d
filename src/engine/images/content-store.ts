/**
 * Content by its digest: configurations, manifests, and the layers of imported images as they were packed.
 *
 *   <root>/blobs/sha256/<hex>     content; its name is its digest
 *   <root>/tmp/<random>           being written
 */
import { createHash, randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import type { Durability } from './durability.ts'
import { digestOf, hexOf, isDigest, type Digest } from './image.ts'

export interface ContentStore {
  readonly has: (digest: Digest) => boolean
  readonly path: (digest: Digest) => string
  /** @throws {NOT_FOUND} */
  readonly read: (digest: Digest) => Buffer
  readonly put: (content: string | Uint8Array) => Digest
  /**
   * Stores what passes through: yields each chunk on, and keeps the content once the stream has ended and its digest
   * is the expected one. Ended early or wrong, nothing is kept.
   * @throws {INVALID_ARGUMENT} digest or size differ
   */
  readonly ingest: (
    source: AsyncIterable<Buffer>,
    expected: ExpectedContent,
  ) => AsyncGenerator<Buffer>
  readonly list: () => Digest[]
  readonly remove: (digest: Digest) => void
}

export interface ExpectedContent {
  readonly digest: Digest
  /** Bytes; unknown when absent. */
  readonly size?: number
}

export function openContentStore(root: string, durability: Durability): ContentStore {
  const directory = path.join(root, 'blobs', 'sha256')
  const tmpDir = path.join(root, 'tmp')
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  fs.mkdirSync(tmpDir, { recursive: true, mode: 0o700 })

  const fileOf = (digest: Digest): string => {
    if (!isDigest(digest))
      throw new TsstackError('INVALID_ARGUMENT', `Cannot name blob "${digest}": not a digest`)
    return path.join(directory, hexOf(digest))
  }

  function commit(draft: string, digest: Digest): void {
    durability.expect('blobs', hexOf(digest))
    fs.renameSync(draft, fileOf(digest))
    durability.settle()
  }

  async function* ingest(
    source: AsyncIterable<Buffer>,
    expected: ExpectedContent,
  ): AsyncGenerator<Buffer> {
    const draft = path.join(tmpDir, randomUUID())
    const hash = createHash('sha256')
    const handle = await fs.promises.open(draft, 'wx', 0o600)
    let size = 0
    try {
      for await (const chunk of source) {
        size += chunk.length
        if (size > (expected.size ?? Infinity)) break
        hash.update(chunk)
        await handle.writeFile(chunk)
        yield chunk
      }
      const digest = `sha256:${hash.digest('hex')}`
      if (size !== (expected.size ?? size) || digest !== expected.digest) {
        const state = `content of ${size} bytes has digest "${digest}"`
        throw new TsstackError(
          'INVALID_ARGUMENT',
          `Cannot store blob "${expected.digest}": ${state}`,
        )
      }
      commit(draft, expected.digest)
    } finally {
      await handle.close()
      fs.rmSync(draft, { force: true })
    }
  }

  return {
    has: (digest) => fs.existsSync(fileOf(digest)),
    path: fileOf,
    read(digest) {
      try {
        return fs.readFileSync(fileOf(digest))
      } catch (cause) {
        throw new TsstackError('NOT_FOUND', `Cannot read blob "${digest}": not in the store`, {
          cause,
        })
      }
    },
    put(content) {
      const digest = digestOf(content)
      if (fs.existsSync(fileOf(digest))) return digest
      const draft = path.join(tmpDir, randomUUID())
      fs.writeFileSync(draft, content, { mode: 0o600 })
      commit(draft, digest)
      return digest
    },
    ingest,
    list: () =>
      fs
        .readdirSync(directory)
        .map((hex) => `sha256:${hex}`)
        .filter(isDigest),
    remove(digest) {
      fs.rmSync(fileOf(digest), { force: true })
    },
  }
}
