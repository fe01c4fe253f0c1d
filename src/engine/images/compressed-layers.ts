/**
 * What layers are when they are compressed, so that a registry can be asked for them before the work is done again:
 *
 *   <root>/compressed/<hex of diffId>.<compression>.json    ExpectedContent
 *
 * Written atomically; lost, it only costs that work.
 */
import fs from 'node:fs'
import path from 'node:path'
import { readJsonIfThere, sweepDrafts, writeFileAtomically } from './atomic-file.ts'
import type { LayerCompression } from './compress-layer.ts'
import type { ExpectedContent } from './content-store.ts'
import { hexOf, isDigest, type Digest } from './image.ts'

export interface CompressedLayer extends ExpectedContent {
  readonly compression: LayerCompression
}

const COMPRESSIONS: readonly LayerCompression[] = ['gzip', 'zstd']

/** Opened once for each store. */
export class CompressedLayers {
  readonly #directory: string

  constructor(root: string) {
    this.#directory = path.join(root, 'compressed')
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    sweepDrafts(this.#directory)
  }

  find(diffId: Digest, compression: LayerCompression): ExpectedContent | undefined {
    const record = readJsonIfThere(this.#file(diffId, compression)) as ExpectedContent | undefined
    return isDigest(record?.digest ?? '') ? record : undefined
  }

  list(diffId: Digest): CompressedLayer[] {
    return COMPRESSIONS.flatMap((compression) => {
      const found = this.find(diffId, compression)
      return found === undefined ? [] : [{ ...found, compression }]
    })
  }

  set(diffId: Digest, compression: LayerCompression, { digest, size }: ExpectedContent): void {
    writeFileAtomically(this.#file(diffId, compression), JSON.stringify({ digest, size }))
  }

  /** Forgets layers that are gone. */
  prune(hasLayer: (diffId: Digest) => boolean): void {
    for (const name of fs.readdirSync(this.#directory))
      if (!hasLayer(`sha256:${name.replace(/\..*$/, '')}`))
        fs.rmSync(path.join(this.#directory, name), { force: true })
  }

  #file(diffId: Digest, compression: LayerCompression): string {
    return path.join(this.#directory, `${hexOf(diffId)}.${compression}.json`)
  }
}
