/**
 * When a name was last pulled or pushed, and what the registry had under it:
 *
 *   <root>/pulled/<hex of digest of the name>.json    PullRecord
 *
 * Written atomically; lost, it only makes the next look at the registry come earlier.
 */
import fs from 'node:fs'
import path from 'node:path'
import { readJsonIfThere, sweepDrafts, writeFileAtomically } from './atomic-file.ts'
import { digestOf, hexOf, type Digest } from './image.ts'

export interface PullRecord {
  /** Canonical. */
  readonly reference: string
  /** Of the manifest or index that the tag named. */
  readonly remoteDigest: Digest
  /** Of the image's own manifest there: that of the store has layers uncompressed which were made here. */
  readonly manifestDigest?: Digest
  readonly imageId: Digest
  /** Milliseconds since the epoch. */
  readonly checkedAtMs: number
}

/** Opened once for each store. */
export class PullRecords {
  readonly #directory: string

  constructor(root: string) {
    this.#directory = path.join(root, 'pulled')
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    sweepDrafts(this.#directory)
  }

  find(reference: string): PullRecord | undefined {
    const record = readJsonIfThere(this.#file(reference)) as PullRecord | undefined
    return record?.reference === reference ? record : undefined
  }

  list(): PullRecord[] {
    return fs
      .readdirSync(this.#directory)
      .map((name) => readJsonIfThere(path.join(this.#directory, name)) as PullRecord | undefined)
      .filter((record) => record !== undefined)
  }

  set(record: PullRecord): void {
    writeFileAtomically(this.#file(record.reference), JSON.stringify(record))
  }

  /** Forgets names that are gone. */
  prune(hasImage: (imageId: Digest) => boolean): void {
    for (const { reference, imageId } of this.list())
      if (!hasImage(imageId)) fs.rmSync(this.#file(reference), { force: true })
  }

  #file(reference: string): string {
    return path.join(this.#directory, `${hexOf(digestOf(reference))}.json`)
  }
}
