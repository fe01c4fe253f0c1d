/**
 * The image store: what is on this host of images, and how a reference becomes one. It owns its directory alone:
 *
 *   <root>/blobs/        content by digest                        content-store.ts
 *   <root>/layers/       extracted layers by diffId               layer-store.ts
 *   <root>/images/ …     what is known by name                    image-records.ts
 *   <root>/unsynced/     what a power failure may damage          durability.ts
 *   <root>/tmp/          being made; swept when the store opens
 *
 * Killed at any instant it never shows a half-made image: blobs and layers appear by a rename, in that order, and the
 * image's record is written last.
 */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { openContentStore } from './content-store.ts'
import { openDurability } from './durability.ts'
import { createHostAssembler } from './host-image.ts'
import { resolveHostImage } from './host-resolve.ts'
import { isDigest, type Digest, type Image } from './image.ts'
import { openImageRecords } from './image-records.ts'
import { openLayerStore } from './layer-store.ts'
import {
  familiarReference,
  formatReference,
  parseReference,
  type ImageReference,
} from './reference.ts'
import { sweep } from './snapshot-directory.ts'
import { referencedBlobs, type StoreParts } from './store-parts.ts'

/** A reference and the image that it names. */
export interface ImageRecord {
  /** As people write it: `nginx:1.27`, `host:node,sh`. */
  readonly reference: string
  readonly image: Image
}

export interface ResolveOptions {
  /** Relative paths of a reference start here; without it they are refused. */
  readonly baseDir?: string
}

export interface RemoveOptions {
  /** Images that containers use: never removed. */
  readonly inUse?: ReadonlySet<Digest>
}

export interface ImageStore {
  /**
   * Makes an image available locally: assembles `host:`, imports archives and directories, finds names and ids in the
   * store. Cached: unchanged sources cost one lstat(2) for each of their files.
   * @throws {NOT_FOUND} if the store, the host or the file lacks it
   * @throws {INVALID_ARGUMENT} if the reference or the archive is malformed
   */
  readonly resolve: (reference: string, options?: ResolveOptions) => Promise<Image>
  readonly list: () => ImageRecord[]
  /** By reference, id, or a unique prefix of the id of at least 4 digits. @throws {NOT_FOUND} */
  readonly inspect: (referenceOrId: string) => Image
  /** Gives an image another name. @throws {NOT_FOUND} {INVALID_ARGUMENT} the name carries a digest or is no name */
  readonly tag: (referenceOrId: string, name: string) => void
  /**
   * Removes a reference, and the image with it when that was the last.
   * @throws {NOT_FOUND}
   * @throws {FAILED_PRECONDITION} it was the last, and a container uses the image
   */
  readonly remove: (reference: string, options?: RemoveOptions) => Promise<void>
  /** Removes every image that no reference names and no container uses, then layers and blobs that no image has. */
  readonly prune: (options?: RemoveOptions) => Promise<void>
  /** The extracted tree of a layer, shared by every image and container: never write there. */
  readonly layerPath: (diffId: Digest) => string
  /** Resolves when what was imported so far is on the disk; nothing has to wait for it. */
  readonly flushed: () => Promise<void>
}

export interface ImageStoreOptions {
  /** Where `host:` looks for programs after the system's directories. Default: this process's PATH. */
  readonly path?: string
}

function notFound(reference: string): TsstackError {
  return new TsstackError('NOT_FOUND', `Cannot find image "${reference}": not in the local store`, {
    hint: 'Import it from oci:, oci-archive:, docker-archive: or dir:, or use a host: image; pulling from registries comes in a later release',
  })
}

/** Paths become absolute, so that a reference means the same whoever asks. */
function absolute(reference: ImageReference, baseDir: string | undefined): ImageReference {
  if (!('path' in reference)) return reference
  if (!path.isAbsolute(reference.path) && baseDir === undefined) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use image path "${reference.path}": it is not absolute`,
    )
  }
  return { ...reference, path: path.resolve(baseDir ?? '/', reference.path) }
}

function openParts(root: string): StoreParts & { readonly flushed: () => Promise<void> } {
  fs.mkdirSync(root, { recursive: true, mode: 0o711 })
  void sweep(path.join(root, 'tmp'))
  const durability = openDurability(root, {
    discard(kind, name) {
      const file =
        kind === 'layers' ? path.join(root, kind, name) : path.join(root, kind, 'sha256', name)
      fs.rmSync(file, { recursive: true, force: true })
    },
  })
  const content = openContentStore(root, durability)
  const layers = openLayerStore(root, durability)
  const isComplete = ({ layers: diffIds }: Image): boolean =>
    diffIds.every((diffId) => layers.find(diffId) !== undefined)
  return {
    content,
    layers,
    records: openImageRecords(root, isComplete),
    flushed: durability.flushed,
  }
}

/** Opens the store in a directory, made if it is missing. One process at a time may use it. */
export function openImageStore(root: string, options: ImageStoreOptions = {}): ImageStore {
  const parts = openParts(root)
  const { content, layers, records } = parts
  const assembler = createHostAssembler(options.path ?? process.env.PATH ?? '')
  const resolving = new Map<string, Promise<Image>>()
  let last: Promise<unknown> = Promise.resolve()

  /** One change of the store at a time, in the order of the calls. */
  function exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }

  function findById(text: string): Image | undefined {
    const hex = /^(?:sha256:)?([0-9a-f]{4,64})$/.exec(text)?.[1]
    if (hex === undefined) return undefined
    const exact = records.images.get(`sha256:${hex}`)
    const matches = [...records.images.values()].filter(({ id }) => id.startsWith(`sha256:${hex}`))
    return exact ?? (matches.length === 1 ? matches[0] : undefined)
  }

  function findNamed(reference: string): Image | undefined {
    const parsed = parseReference(reference)
    const canonical = formatReference(parsed)
    const byReference = records.images.get(records.references.get(canonical) ?? '')
    if (byReference !== undefined || parsed.transport !== 'docker' || parsed.digest === undefined)
      return byReference
    return [...records.images.values()].find(({ digest }) => digest === parsed.digest)
  }

  function find(referenceOrId: string): Image | undefined {
    if (isDigest(referenceOrId)) return records.images.get(referenceOrId)
    return findNamed(referenceOrId) ?? findById(referenceOrId)
  }

  function inspect(referenceOrId: string): Image {
    const image = find(referenceOrId)
    if (image === undefined) throw notFound(referenceOrId)
    return image
  }

  async function make(parsed: ImageReference): Promise<Image> {
    switch (parsed.transport) {
      case 'host':
        return resolveHostImage(parts, assembler, parsed)
      default:
        throw notFound(formatReference(parsed))
    }
  }

  async function resolve(reference: string, { baseDir }: ResolveOptions = {}): Promise<Image> {
    if (isDigest(reference)) return inspect(reference)
    const parsed = absolute(parseReference(reference), baseDir)
    if (parsed.transport === 'docker') return inspect(reference)
    const canonical = formatReference(parsed)
    const fresh = records.findSource(canonical)
    if (fresh !== undefined) return fresh
    const running = resolving.get(canonical)
    if (running !== undefined) return running
    const result = exclusive(() => make(parsed)).finally(() => resolving.delete(canonical))
    resolving.set(canonical, result)
    return result
  }

  async function collect(inUse: ReadonlySet<Digest>): Promise<void> {
    const named = new Set(records.references.values())
    for (const { id } of [...records.images.values()]) {
      if (!named.has(id) && !inUse.has(id)) records.removeImage(id)
    }
    const images = [...records.images.values()]
    const keptLayers = new Set(images.flatMap((image) => image.layers))
    const keptBlobs = new Set(images.flatMap((image) => referencedBlobs(parts, image)))
    for (const diffId of layers.list()) if (!keptLayers.has(diffId)) await layers.remove(diffId)
    for (const digest of content.list()) if (!keptBlobs.has(digest)) content.remove(digest)
    records.prune((diffId) => keptLayers.has(diffId))
  }

  return {
    resolve,
    inspect,
    list: () =>
      [...records.references].flatMap(([reference, id]) => {
        const image = records.images.get(id)
        return image === undefined ? [] : [{ reference: familiarReference(reference), image }]
      }),
    tag(referenceOrId, name) {
      const image = inspect(referenceOrId)
      const parsed = parseReference(name)
      if (parsed.transport !== 'docker' || parsed.digest !== undefined) {
        throw new TsstackError(
          'INVALID_ARGUMENT',
          `Cannot tag image as "${name}": it is not a name with a tag`,
        )
      }
      records.setReference(formatReference(parsed), image.id)
    },
    remove: (reference, { inUse = new Set<Digest>() } = {}) =>
      exclusive(async () => {
        const canonical = formatReference(parseReference(reference))
        const id = records.references.get(canonical)
        if (id === undefined) throw notFound(reference)
        const isLast = [...records.references.values()].filter((other) => other === id).length === 1
        if (isLast && inUse.has(id)) {
          throw new TsstackError(
            'FAILED_PRECONDITION',
            `Cannot remove image "${reference}": a container uses it`,
          )
        }
        records.removeReference(canonical)
        await collect(inUse)
      }),
    prune: ({ inUse = new Set<Digest>() } = {}) => exclusive(() => collect(inUse)),
    layerPath: layers.path,
    flushed: parts.flushed,
  }
}
