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
import type { Durability } from './durability.ts'
import { hexOf, isDigest, type Digest } from './image.ts'

export interface LayerRecord {
  readonly diffId: Digest
  /** Bytes of the uncompressed tar file. */
  readonly tarBytes: number
  /** Bytes of the regular files. */
  readonly fileBytes: number
}

export interface LayerStore {
  /** The extracted tree. Does not say that it is there. */
  readonly path: (diffId: Digest) => string
  readonly find: (diffId: Digest) => LayerRecord | undefined
  /**
   * Makes a layer: `fill` writes into an empty directory. If it fails, nothing is left; if the layer is there already,
   * that one stays.
   */
  readonly make: (fill: (tree: string) => Promise<LayerRecord>) => Promise<LayerRecord>
  readonly list: () => Digest[]
  readonly remove: (diffId: Digest) => Promise<void>
}

/** @param durability - told of each layer, so that a power failure leaves none half-written */
export function openLayerStore(root: string, durability: Durability): LayerStore {
  const layersDir = path.join(root, 'layers')
  const tmpDir = path.join(root, 'tmp')
  fs.mkdirSync(layersDir, { recursive: true, mode: 0o700 })
  fs.mkdirSync(tmpDir, { recursive: true, mode: 0o700 })
  const known = new Map<Digest, LayerRecord>()

  const home = (diffId: Digest): string => {
    if (!isDigest(diffId))
      throw new TsstackError('INVALID_ARGUMENT', `Cannot name layer "${diffId}": not a digest`)
    return path.join(layersDir, hexOf(diffId))
  }

  function read(diffId: Digest): LayerRecord | undefined {
    try {
      const text = fs.readFileSync(path.join(home(diffId), 'layer.json'), 'utf8')
      const record = JSON.parse(text) as LayerRecord
      if (record.diffId !== diffId) return undefined
      known.set(diffId, record)
      return record
    } catch {
      return undefined
    }
  }

  async function removeTree(directory: string): Promise<void> {
    await fs.promises.rm(directory, { recursive: true, force: true })
  }

  /** Out of the way first, by one rename: a layer is never seen half removed. */
  async function remove(diffId: Digest): Promise<void> {
    known.delete(diffId)
    const grave = path.join(tmpDir, randomUUID())
    try {
      fs.renameSync(home(diffId), grave)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    await removeTree(grave)
  }

  function commit(draft: string, record: LayerRecord): void {
    durability.expect('layers', hexOf(record.diffId))
    try {
      fs.renameSync(draft, home(record.diffId))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Another import of the same layer was faster.
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
    }
    durability.settle()
  }

  return {
    path: (diffId) => path.join(home(diffId), 'tree'),
    find: (diffId) => known.get(diffId) ?? read(diffId),
    remove,
    list: () =>
      fs
        .readdirSync(layersDir)
        .map((hex) => `sha256:${hex}`)
        .filter(isDigest),
    async make(fill) {
      const draft = path.join(tmpDir, randomUUID())
      const tree = path.join(draft, 'tree')
      fs.mkdirSync(tree, { recursive: true, mode: 0o755 })
      fs.chmodSync(draft, 0o755)
      try {
        const record = await fill(tree)
        fs.writeFileSync(path.join(draft, 'layer.json'), JSON.stringify(record))
        if (read(record.diffId) === undefined) {
          await remove(record.diffId) // what is there without a record is a ruin
          commit(draft, record)
        }
        known.set(record.diffId, record)
        return record
      } finally {
        await removeTree(draft)
      }
    },
  }
}
