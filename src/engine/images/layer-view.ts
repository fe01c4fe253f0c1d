/**
 * An image's layers as one tree, as overlayfs would show them, without mounting anything: for telling what a container
 * has changed. A directory is known by the layers that have it, so that none is asked that can't know a file.
 */
import { isOpaque, isWhiteout } from './confined-tree.ts'
import type { Stats } from 'node:fs'
import { TreeReader } from './tree-reader.ts'

/** A directory of the view. */
export interface LowerDirectory {
  /** Relative to the root; '' is the root. */
  readonly path: string
  /** Those layers whose files show in it, the uppermost first. */
  readonly layers: readonly TreeReader[]
}

/** Holds one descriptor for each layer until it is closed. */
export class LayerView {
  readonly #layers: readonly TreeReader[]

  /** @param trees - extracted layers, the lowest first */
  constructor(trees: readonly string[]) {
    const opened: TreeReader[] = []
    try {
      for (const tree of trees) opened.push(new TreeReader(tree))
    } catch (error) {
      for (const reader of opened) reader.close()
      throw error
    }
    this.#layers = opened.reverse()
  }

  root(): LowerDirectory {
    return { path: '', layers: this.#untilHidden('', this.#layers) }
  }

  /** What shows of a name in a directory. */
  find({ path, layers }: LowerDirectory, name: string): Stats | undefined {
    for (const layer of layers) {
      const stats = layer.find(path === '' ? name : `${path}/${name}`)
      if (stats !== undefined) return isWhiteout(stats) ? undefined : stats
    }
    return undefined
  }

  /** A directory that `find` has found. */
  enter({ path, layers }: LowerDirectory, name: string): LowerDirectory {
    const below = path === '' ? name : `${path}/${name}`
    return { path: below, layers: this.#untilHidden(below, layers) }
  }

  /** All names that show in a directory. */
  names(directory: LowerDirectory): string[] {
    const names = new Set(
      directory.layers.flatMap(
        (layer) => layer.inDirectory(directory.path, (open) => open.names) ?? [],
      ),
    )
    return [...names].filter((name) => this.find(directory, name) !== undefined)
  }

  close(): void {
    for (const layer of this.#layers) layer.close()
  }

  /** Down to the first layer that has something else there, or that shows nothing of those below it. */
  #untilHidden(path: string, layers: readonly TreeReader[]): TreeReader[] {
    const showing: TreeReader[] = []
    for (const layer of layers) {
      const stats = layer.find(path)
      if (stats === undefined) continue
      if (!stats.isDirectory()) break
      showing.push(layer)
      const hides = layer.inDirectory(path, ({ at }) => isOpaque(at('.')))
      if (hides === true) break
    }
    return showing
  }
}
