/**
 * What pulls that are not finished have brought, or will: garbage collection leaves it alone, also after the daemon was
 * killed, so that the next pull goes on where this one was.
 *
 *   <root>/pulls/<hex of manifest>.json    PullLease, until the image is recorded; a day at most when nobody goes on
 *   <root>/partial/<hex of blob>           what has arrived of a blob; becomes a blob by a rename, once it is whole
 */
import fs from 'node:fs'
import path from 'node:path'
import { readJsonIfThere, sweepDrafts, writeFileAtomically } from './atomic-file.ts'
import { hexOf, isDigest, type Digest } from './image.ts'

interface PullLease {
  readonly blobs: readonly Digest[]
  /** diffIds. */
  readonly layers: readonly Digest[]
}

export interface Lease {
  /** The pull is over. @param isKept - whether another attempt may go on with what is there */
  readonly release: (isKept: boolean) => void
}

const ABANDONED_MS = 24 * 3_600_000

/** Opened once for each store. */
export class PullLeases {
  readonly #directory: string
  readonly #partialDir: string
  readonly #known = new Map<string, PullLease>()
  /** Pulls of this process, by file name: two may bring the same image. */
  readonly #active = new Map<string, number>()

  constructor(root: string) {
    this.#directory = path.join(root, 'pulls')
    this.#partialDir = path.join(root, 'partial')
    for (const directory of [this.#directory, this.#partialDir])
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    sweepDrafts(this.#directory)
    for (const name of fs.readdirSync(this.#directory)) {
      const lease = readJsonIfThere(path.join(this.#directory, name)) as PullLease | undefined
      if (lease === undefined) fs.rmSync(path.join(this.#directory, name), { force: true })
      else this.#known.set(name, lease)
    }
  }

  /** Before the first of it is stored. */
  take(manifest: Digest, lease: PullLease): Lease {
    const name = `${hexOf(manifest)}.json`
    writeFileAtomically(path.join(this.#directory, name), JSON.stringify(lease))
    this.#known.set(name, lease)
    this.#active.set(name, (this.#active.get(name) ?? 0) + 1)
    return {
      release: (isKept) => {
        const others = (this.#active.get(name) ?? 1) - 1
        if (others > 0) this.#active.set(name, others)
        else this.#active.delete(name)
        if (others === 0 && !isKept) this.#drop(name)
      },
    }
  }

  holdsBlob(digest: Digest): boolean {
    return [...this.#known.values()].some(({ blobs }) => blobs.includes(digest))
  }

  holdsLayer(diffId: Digest): boolean {
    return [...this.#known.values()].some(({ layers }) => layers.includes(diffId))
  }

  partialFile(digest: Digest): string {
    return path.join(this.#partialDir, hexOf(digest))
  }

  /** Bytes of blobs that are not whole. */
  partialBytes(): number {
    return fs
      .readdirSync(this.#partialDir)
      .map((name) => fs.statSync(path.join(this.#partialDir, name)).size)
      .reduce((total, size) => total + size, 0)
  }

  /** Forgets pulls that nobody has gone on with for a day (or at all, if `isAll`), and what has arrived for nobody. */
  sweep(isAll: boolean): void {
    for (const name of [...this.#known.keys()]) {
      if (this.#active.has(name)) continue
      const stat = fs.statSync(path.join(this.#directory, name), { throwIfNoEntry: false })
      if (isAll || stat === undefined || Date.now() - stat.mtimeMs > ABANDONED_MS) this.#drop(name)
    }
    for (const name of fs.readdirSync(this.#partialDir)) {
      const digest = `sha256:${name}`
      if (!isDigest(digest) || !this.holdsBlob(digest))
        fs.rmSync(path.join(this.#partialDir, name), { force: true })
    }
  }

  #drop(name: string): void {
    this.#known.delete(name)
    fs.rmSync(path.join(this.#directory, name), { force: true })
  }
}
