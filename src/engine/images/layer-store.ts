/**
 * Extracted layers, one tree for each diffId, shared by every image and container.
 *
 *   <root>/layers/<hex of diffId>/layer.json    LayerRecord; what has none does not exist
 *                                 tree/         the files, with the ids of the image, whiteouts as overlayfs has them
 *   <root>/tmp/<random>/                        being made; swept when the store opens
 *
 * A layer appears by one rename of its whole directory, so it is there entirely or not at all.
 */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { readJsonIfThere } from './atomic-file.ts'
import type { Durability } from './durability.ts'
import { hexOf, isDigest, type Digest } from './image.ts'

export interface LayerRecord {
  readonly diffId: Digest
  /** Bytes of the uncompressed tar file. */
  readonly tarBytes: number
  /** Bytes of the regular files. */
  readonly fileBytes: number
}

/** Opened once for each store. */
export class LayerStore {
  readonly #layersDir: string
  readonly #tmpDir: string
  readonly #durability: Durability
  readonly #known = new Map<Digest, LayerRecord>()

  /** @param durability - told of each layer, so that a power failure leaves none half-written */
  constructor(root: string, durability: Durability) {
    this.#layersDir = path.join(root, 'layers')
    this.#tmpDir = path.join(root, 'tmp')
    this.#durability = durability
    // Programs in layers may be setuid root: nobody of the host may come as far as their names.
    fs.mkdirSync(this.#layersDir, { recursive: true, mode: 0o700 })
    fs.chmodSync(this.#layersDir, 0o700)
    fs.mkdirSync(this.#tmpDir, { recursive: true, mode: 0o700 })
  }

  /** The extracted tree. Does not say that it is there. */
  path(diffId: Digest): string {
    return path.join(this.#home(diffId), 'tree')
  }

  find(diffId: Digest): LayerRecord | undefined {
    return this.#known.get(diffId) ?? this.#read(diffId)
  }

  list(): Digest[] {
    return fs
      .readdirSync(this.#layersDir)
      .map((hex) => `sha256:${hex}`)
      .filter(isDigest)
  }

  /**
   * Makes a layer: `fill` writes into an empty directory. If it fails, nothing is left; if the layer is there already,
   * that one stays.
   */
  async make<T extends LayerRecord>(fill: (tree: string) => Promise<T>): Promise<T> {
    const draft = path.join(this.#tmpDir, randomUUID())
    const tree = path.join(draft, 'tree')
    fs.mkdirSync(tree, { recursive: true })
    fs.chmodSync(draft, 0o755)
    fs.chmodSync(tree, 0o755)
    let ruin: string | undefined
    try {
      const made = await fill(tree)
      const { diffId, tarBytes, fileBytes } = made
      const record: LayerRecord = { diffId, tarBytes, fileBytes }
      fs.writeFileSync(path.join(draft, 'layer.json'), JSON.stringify(record), { mode: 0o600 })
      if (this.#read(diffId) === undefined) {
        // What is there without a record is a ruin. Nothing is awaited in between: the same layer may come twice at once.
        ruin = this.#bury(diffId)
        this.#commit(draft, record)
      }
      return made
    } finally {
      for (const left of [draft, ...(ruin === undefined ? [] : [ruin])])
        await fs.promises.rm(left, { recursive: true, force: true })
    }
  }

  /** Out of the way first, by one rename: a layer is never seen half removed. */
  async remove(diffId: Digest): Promise<void> {
    const grave = this.#bury(diffId)
    if (grave !== undefined) await fs.promises.rm(grave, { recursive: true, force: true })
  }

  /** @returns where it is now; undefined: it was not there */
  #bury(diffId: Digest): string | undefined {
    this.#known.delete(diffId)
    const grave = path.join(this.#tmpDir, randomUUID())
    try {
      fs.renameSync(this.#home(diffId), grave)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    return grave
  }

  #home(diffId: Digest): string {
    if (isDigest(diffId)) return path.join(this.#layersDir, hexOf(diffId))
    throw new TsstackError('INVALID_ARGUMENT', `Cannot name layer "${diffId}": not a digest`)
  }

  #read(diffId: Digest): LayerRecord | undefined {
    const record = readJsonIfThere(path.join(this.#home(diffId), 'layer.json')) as
      LayerRecord | undefined
    if (record?.diffId !== diffId) return undefined
    this.#known.set(diffId, record)
    return record
  }

  #commit(draft: string, record: LayerRecord): void {
    this.#durability.expect('layers', hexOf(record.diffId))
    fs.renameSync(draft, this.#home(record.diffId))
    this.#known.set(record.diffId, record)
    this.#durability.settle()
  }
}
