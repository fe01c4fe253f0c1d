/** The store's images as files: save, load, import; and what configurations say beyond what an Image has. */
import { randomUUID } from 'node:crypto'
import { open, rm, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { TsstackError, toTsstackError } from '../../errors.ts'
import { openTarFiles } from './archive-files.ts'
import type { Digest, Image, ImageConfig } from './image.ts'
import { importTree } from './import-tree.ts'
import { describeManifest, type Descriptor } from './manifest.ts'
import { loadArchive, type LoadedImage } from './load-archive.ts'
import { formatReference, parseReference, parseTag } from './reference.ts'
import { saveArchive } from './save-archive.ts'
import { openSeenFile, type SeenFile } from './seen-file.ts'
import { addImageNamed, type StoreParts } from './store-parts.ts'

export interface ImportOptions {
  /** What containers of the image run with. Default: only a PATH. */
  readonly config?: ImageConfig
  readonly names?: readonly string[]
}

export interface ImageArchives {
  /**
   * Images as one archive; named, with the names that are asked for.
   * @throws {NOT_FOUND} at once, if one is not there
   */
  save(references: readonly string[]): AsyncGenerator<Buffer>
  /** Every image of an archive, with the names that it has there. @throws {INVALID_ARGUMENT} {FAILED_PRECONDITION} */
  load(archive: AsyncIterable<Buffer>): Promise<LoadedImage[]>
  /** As `load`, from a file in its place. @returns undefined if we don't see the same file there */
  loadFile(seen: SeenFile): Promise<LoadedImage[] | undefined>
  /** An image out of a root file system. @throws {INVALID_ARGUMENT} */
  importTree(archive: AsyncIterable<Buffer>, options?: ImportOptions): Promise<Image>
  /** What archives call the image by; registries do, unless layers were compressed for them. */
  manifest(id: Digest): Descriptor
  /** The image's configuration as it was written. */
  config(id: Digest): unknown
}

interface Access {
  readonly parts: StoreParts
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>
  readonly find: (reference: string) => Image
}

/** Blobs must be found by their place, so the archive is written beside the store first. */
async function spool(tmpDir: string, archive: AsyncIterable<Buffer>): Promise<string> {
  const file = path.join(tmpDir, randomUUID())
  const handle = await open(file, 'wx', 0o600)
  try {
    for await (const chunk of archive) await handle.writeFile(chunk)
  } catch (cause) {
    await rm(file, { force: true })
    if ((cause as NodeJS.ErrnoException).code === 'ENOSPC') throw toTsstackError(cause)
    const state = 'it ended before its end'
    throw new TsstackError('UNAVAILABLE', `Cannot receive archive: ${state}`, { cause })
  } finally {
    await handle.close()
  }
  return file
}

function nameOf({ records }: StoreParts, reference: string, image: Image): string[] {
  try {
    const parsed = parseReference(reference)
    const canonical = formatReference(parsed)
    const isName = parsed.transport === 'docker' && parsed.digest === undefined
    return isName && records.references.get(canonical) === image.id ? [canonical] : []
  } catch {
    return [] // an id
  }
}

export function createImageArchives({ parts, exclusive, find }: Access): ImageArchives {
  async function loadFrom(archive: string | FileHandle): Promise<LoadedImage[]> {
    const files = await openTarFiles(archive, parts.tmpDir)
    return exclusive(async () => {
      const loaded = await loadArchive(parts, files)
      for (const { image, names } of loaded) await addImageNamed(parts, image, names)
      return loaded
    }).finally(() => files.close())
  }

  return {
    save(references) {
      const images = new Map<Digest, { image: Image; names: string[] }>()
      for (const reference of references) {
        const image = find(reference)
        const saved = images.get(image.id) ?? { image, names: [] }
        saved.names = [...new Set([...saved.names, ...nameOf(parts, reference, image)])].sort()
        images.set(image.id, saved)
      }
      return saveArchive(parts, [...images.values()])
    },
    async load(archive) {
      const file = await spool(parts.tmpDir, archive)
      try {
        return await loadFrom(file)
      } finally {
        await rm(file, { force: true })
      }
    },
    async loadFile(seen) {
      const handle = await openSeenFile(seen)
      return handle === undefined ? undefined : loadFrom(handle)
    },
    async importTree(archive, { config, names = [] } = {}) {
      const tags = names.map(parseTag)
      const file = await spool(parts.tmpDir, archive)
      let handle: FileHandle | undefined
      try {
        handle = await open(file, 'r')
        const opened = handle
        return await exclusive(async () =>
          addImageNamed(parts, await importTree(parts, opened, config), tags),
        )
      } finally {
        await handle?.close()
        await rm(file, { force: true })
      }
    },
    manifest(id) {
      const { digest } = find(id)
      return describeManifest(parts.content.read(digest), digest)
    },
    config: (id) => JSON.parse(parts.content.read(id).toString('utf8')) as unknown,
  }
}
