/**
 * Which layer a build step made, by a key that says all that the step depends on:
 *
 *   <root>/build-cache/<hex of key>.json    CachedStep; its modification time says when it was last of use
 *
 * Written atomically; lost, it only makes the step run again. A layer that a record names is no garbage.
 */
import fs from 'node:fs'
import path from 'node:path'
import { readJsonIfThere, writeFileAtomically } from './atomic-file.ts'
import { hexOf, type Digest } from './image.ts'

export interface CachedStep {
  readonly key: Digest
  readonly diffId: Digest
  /** When the step ran. RFC 3339. */
  readonly created: string
  /** The step as people know it. */
  readonly description: string
}

/** Opened once for each store. */
export class BuildCache {
  readonly #directory: string
  readonly #steps = new Map<Digest, CachedStep & { readonly usedAtMs: number }>()
  /** How many steps made a layer. */
  readonly #layers = new Map<Digest, number>()

  constructor(root: string) {
    this.#directory = path.join(root, 'build-cache')
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    for (const name of fs.readdirSync(this.#directory)) {
      const file = path.join(this.#directory, name)
      const step = readJsonIfThere(file) as CachedStep | undefined
      if (step === undefined || this.#file(step.key) !== file) fs.rmSync(file, { force: true })
      else this.#set({ ...step, usedAtMs: fs.statSync(file).mtimeMs })
    }
  }

  get size(): number {
    return this.#steps.size
  }

  /** Looking at a step counts as its use. */
  find(key: Digest): CachedStep | undefined {
    const step = this.#steps.get(key)
    if (step === undefined) return undefined
    const now = Date.now()
    this.#steps.set(key, { ...step, usedAtMs: now })
    fs.utimesSync(this.#file(key), now / 1000, now / 1000)
    return step
  }

  put(step: CachedStep): void {
    writeFileAtomically(this.#file(step.key), JSON.stringify(step))
    this.#set({ ...step, usedAtMs: Date.now() })
  }

  remove(key: Digest): void {
    const diffId = this.#steps.get(key)?.diffId
    if (diffId !== undefined) this.#release(diffId)
    this.#steps.delete(key)
    fs.rmSync(this.#file(key), { force: true })
  }

  /** The least recently used first. */
  list(): (CachedStep & { readonly usedAtMs: number })[] {
    return [...this.#steps.values()].sort((a, b) => a.usedAtMs - b.usedAtMs)
  }

  /** Those that steps have made. */
  layers(): Iterable<Digest> {
    return this.#layers.keys()
  }

  hasLayer(diffId: Digest): boolean {
    return this.#layers.has(diffId)
  }

  #set(step: CachedStep & { readonly usedAtMs: number }): void {
    const before = this.#steps.get(step.key)
    this.#layers.set(step.diffId, (this.#layers.get(step.diffId) ?? 0) + 1)
    if (before !== undefined) this.#release(before.diffId)
    this.#steps.set(step.key, step)
  }

  #release(diffId: Digest): void {
    const others = (this.#layers.get(diffId) ?? 1) - 1
    if (others > 0) this.#layers.set(diffId, others)
    else this.#layers.delete(diffId)
  }

  #file(key: Digest): string {
    return path.join(this.#directory, `${hexOf(key)}.json`)
  }
}
