/**
 * A directory tree as a tar archive, while it is written: nothing is held but one chunk. The tree belongs to containers,
 * which may change it meanwhile: see tree-reader.ts. Sockets and devices are left out.
 */
import fs from 'node:fs'
import type { LayerEntry } from './layer-entry.ts'
import { readXattrs } from './layer-xattrs.ts'
import { TAR_END, tarHeader, tarPadding } from './tar-writer.ts'
import { readExactly, readLink, TreeReader, unlessGone } from './tree-reader.ts'

export interface ArchiveOptions {
  /** The host's id that is 0 in the archive. Default: 0. */
  readonly owner?: number
  /** Of what is mounted below the root only the place appears, empty. Default: its files come along. */
  readonly oneMount?: boolean
  /** What the root is called in the archive; '' is the root itself, `./`. Default: ''. */
  readonly name?: string
}

/** @param root - a directory, or a descriptor of one that stays open meanwhile */
export async function* archiveTree(
  root: string | number,
  options: ArchiveOptions = {},
): AsyncGenerator<Buffer> {
  const reader = new TreeReader(root, { oneMount: options.oneMount ?? false })
  try {
    const archive = new TreeArchive(reader, options)
    const attributes = archive.attributesOf('', {
      at: reader.root,
      stats: fs.lstatSync(reader.root),
    })
    yield tarHeader({ type: 'directory', ...attributes })
    yield* archive.directory('')
    yield TAR_END
  } finally {
    reader.close()
  }
}

/**
 * One file of a directory, be it a directory itself.
 * @param parent - a descriptor of the directory, open meanwhile
 * @param entry - the file's name there; `as` is its name in the archive
 */
export async function* archiveEntry(
  parent: number,
  entry: { readonly name: string; readonly as: string },
  options: Omit<ArchiveOptions, 'name'> = {},
): AsyncGenerator<Buffer> {
  const reader = new TreeReader(parent, { oneMount: options.oneMount ?? false })
  try {
    const archive = new TreeArchive(reader, { ...options, rename: entry })
    yield* archive.entry(entry.name, `/proc/self/fd/${parent}/${entry.name}`)
    yield TAR_END
  } finally {
    reader.close()
  }
}

type Attributes = Omit<LayerEntry & { readonly type: 'directory' }, 'type'>

interface Found {
  readonly path: string
  readonly at: string
  readonly stats: fs.Stats
}

interface TreeArchiveOptions extends ArchiveOptions {
  readonly rename?: { readonly name: string; readonly as: string }
}

class TreeArchive {
  readonly #reader: TreeReader
  readonly #options: TreeArchiveOptions
  /** First names of files that have several, by their inode. */
  readonly #names = new Map<string, string>()

  constructor(reader: TreeReader, options: TreeArchiveOptions) {
    this.#reader = reader
    this.#options = options
  }

  attributesOf(path: string, { at, stats }: Omit<Found, 'path'>): Attributes {
    const { owner = 0 } = this.#options
    const xattrs = readXattrs(at, owner)
    return {
      path: this.#nameOf(path),
      mode: stats.mode & 0o7777,
      uid: Math.max(stats.uid - owner, 0),
      gid: Math.max(stats.gid - owner, 0),
      mtime: Math.floor(stats.mtimeMs / 1000),
      ...(xattrs.length === 0 ? {} : { xattrs }),
    }
  }

  /** What is in a directory; its descriptor is open meanwhile, so that each name is looked up in the same one. */
  async *directory(directory: string): AsyncGenerator<Buffer> {
    const opened = this.#reader.openDirectory(directory)
    if (opened === undefined) return
    try {
      for (const name of opened.names.toSorted()) {
        const path = directory === '' ? name : `${directory}/${name}`
        yield* this.entry(path, opened.at(name))
      }
    } finally {
      opened.close()
    }
  }

  async *entry(path: string, at: string): AsyncGenerator<Buffer> {
    const stats = unlessGone(() => fs.lstatSync(at))
    if (stats === undefined) return
    if (this.#reader.isMountPoint(path)) {
      const bare = { path: this.#nameOf(path), uid: 0, gid: 0, mtime: 0 }
      yield stats.isDirectory()
        ? tarHeader({ type: 'directory', ...bare, mode: 0o755 })
        : tarHeader({ type: 'content', ...bare, mode: 0o644, content: Buffer.alloc(0) })
      return
    }
    const attributes = unlessGone(() => this.attributesOf(path, { at, stats }))
    if (attributes === undefined) return
    if (stats.isDirectory()) {
      yield tarHeader({ type: 'directory', ...attributes })
      yield* this.directory(path)
    } else if (stats.isFile()) yield* this.#file(path, attributes)
    else if (stats.isFIFO()) yield tarHeader({ type: 'fifo', ...attributes })
    else if (stats.isSymbolicLink()) {
      const target = unlessGone(() => readLink(at))
      if (target !== undefined) yield tarHeader({ type: 'symlink', target, ...attributes })
    }
  }

  async *#file(path: string, attributes: Attributes): AsyncGenerator<Buffer> {
    const file = this.#reader.openFile(path)
    if (file === undefined) return
    try {
      const { nlink, dev, ino, size } = file.stats
      const inode = `${dev}:${ino}`
      const target = nlink > 1 ? this.#names.get(inode) : undefined
      if (target !== undefined) {
        const { xattrs, ...plain } = attributes
        yield tarHeader({ type: 'hardlink', target, ...plain })
        return
      }
      if (nlink > 1) this.#names.set(inode, attributes.path)
      yield tarHeader({ type: 'file', source: path, size, ...attributes })
      yield* readExactly(file.fd, size)
      yield tarPadding(size)
    } finally {
      fs.closeSync(file.fd)
    }
  }

  #nameOf(path: string): string {
    const { name = '', rename } = this.#options
    if (rename !== undefined) return `${rename.as}${path.slice(rename.name.length)}`
    if (name === '' || path === '') return name === '' ? path : name
    return `${name}/${path}`
  }
}
