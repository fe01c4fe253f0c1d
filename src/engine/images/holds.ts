/**
 * What this process works with just now: garbage collection leaves it alone, though no image has it (yet, or any more).
 * In memory only: after a crash nobody works with it. Pulls, which are gone on with, have leases on disk: pull-leases.ts.
 */
import type { Digest } from './image.ts'

/** Layers, blobs and images that are needed until some work has ended. */
export interface Hold {
  /** By diffId, digest or id. */
  readonly add: (digests: readonly Digest[]) => void
  /** Safe to call twice. */
  readonly release: () => void
}

/** Opened once for each store. */
export class Holds {
  readonly #counts = new Map<Digest, number>()

  has(digest: Digest): boolean {
    return this.#counts.has(digest)
  }

  open(): Hold {
    const own: Digest[] = []
    return {
      add: (digests) => {
        own.push(...digests)
        for (const digest of digests) this.#counts.set(digest, (this.#counts.get(digest) ?? 0) + 1)
      },
      release: () => {
        for (const digest of own.splice(0)) {
          const others = (this.#counts.get(digest) ?? 1) - 1
          if (others > 0) this.#counts.set(digest, others)
          else this.#counts.delete(digest)
        }
      },
    }
  }
}
