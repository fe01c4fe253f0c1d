/**
 * The image store: what is on this host of images, and how a reference becomes one. It owns its directory alone:
 *
 *   <root>/blobs/        content by digest                        content-store.ts
 *   <root>/layers/       extracted layers by diffId               layer-store.ts
 *   <root>/images/ …     what is known by name                    image-records.ts
 *   <root>/pulls/ …      pulls that are not finished              pull-leases.ts
 *   <root>/pulled/       when what was pulled                     pull-records.ts
 *   <root>/compressed/   what layers are when compressed          compressed-layers.ts
 *   <root>/build-cache/ … drafts/ …  what the builder has made  image-builds.ts
 *   <root>/unsynced/     what a power failure may damage          durability.ts
 *   <root>/tmp/          being made; swept when the store opens
 *
 * Killed at any instant it never shows a half-made image: blobs and layers appear by a rename, in that order, and the
 * image's record is written last.
 */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { readRegistrySettings, type RegistrySettings } from '../../registry/registry-settings.ts'
import { resolveArchive } from './archive-resolve.ts'
import { changesOf, importChanges, type ContainerTree } from './container-layer.ts'
import { CompressedLayers } from './compressed-layers.ts'
import { ContentStore } from './content-store.ts'
import { openDurability, type Durability } from './durability.ts'
import { createHostAssembler, type HostAssembler } from './host-image.ts'
import { resolveHostImage } from './host-resolve.ts'
import { isDigest, type Digest, type Image } from './image.ts'
import { createImageArchives, type ImageArchives } from './image-archives.ts'
import { createImageBuilds, type ImageBuilds } from './image-builds.ts'
import { Holds, type Hold } from './holds.ts'
import { ImageRecords } from './image-records.ts'
import { pruneImages, removeImage, type Removal, type RemovedImages } from './image-removal.ts'
import { measureImages, type ImagesInUse, type ImageUsage } from './image-usage.ts'
import { LayerStore } from './layer-store.ts'
import { PullLeases } from './pull-leases.ts'
import { PullRecords } from './pull-records.ts'
import { createRemoteImages, type RemoteImages } from './remote-images.ts'
import {
  familiarReference,
  formatReference,
  parseReference,
  parseTag,
  type ImageReference,
} from './reference.ts'
import { sweep } from './snapshot-directory.ts'
import type { StorageDriver } from './open-snapshotter.ts'
import type { SnapshotContent } from './snapshotter.ts'
import { referencedBlobs, type StoreParts } from './store-parts.ts'
import type { Change } from './tree-changes.ts'

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
  /** Images that are never removed. Asked when it counts, for removing may have to wait its turn. */
  readonly inUse?: () => ImagesInUse
  /** Remove: all names of an image that is given by its id. Prune: images with a name, too. Default: false. */
  readonly all?: boolean
  /** Prune: of those without a name only such as lost it to a newer image. Default: false. */
  readonly replacedOnly?: boolean
  /** Prune: only those go for which it says so. Default: all. */
  readonly matches?: (image: Image) => boolean
}

export interface ImageStore {
  readonly remote: RemoteImages
  readonly archives: ImageArchives
  readonly builds: ImageBuilds
  /**
   * Makes an image available locally: assembles `host:`, imports archives and directories, finds names and ids in the
   * store. Cached: unchanged sources cost one lstat(2) for each of their files.
   * @throws {NOT_FOUND} if the store, the host or the file lacks it
   * @throws {INVALID_ARGUMENT} if the reference or the archive is malformed
   */
  resolve(reference: string, options?: ResolveOptions): Promise<Image>
  /**
   * Imports an archive or a layout as `resolve` does, and gives the image the names that the archive has for it.
   * @returns the names given, none if the archive has none
   * @throws {INVALID_ARGUMENT} the reference is no archive; or as `resolve`
   */
  importArchive(reference: string, options?: ResolveOptions): Promise<ImageRecord[]>
  list(): ImageRecord[]
  /** Every image, those without a name too. */
  all(): readonly Image[]
  /** By reference, id, or a unique prefix of the id of at least 4 digits. @throws {NOT_FOUND} */
  inspect(referenceOrId: string): Image
  /** Gives an image another name. @throws {NOT_FOUND} {INVALID_ARGUMENT} the name carries a digest or is no name */
  tag(referenceOrId: string, name: string): Promise<void>
  /**
   * Removes a reference, and the image with it when that was the last; or an image by its id, with its reference.
   * @throws {NOT_FOUND}
   * @throws {FAILED_PRECONDITION} it was the last, and a container uses the image; an id with several references
   */
  remove(referenceOrId: string, options?: RemoveOptions): Promise<RemovedImages>
  /** Removes every image that no reference names and no container uses, then layers and blobs that no image has. */
  prune(options?: RemoveOptions): Promise<RemovedImages>
  usage(inUse: ImagesInUse): ImageUsage
  /** The extracted tree of a layer, shared by every image and container: never write there. */
  layerPath(diffId: Digest): string
  /** What a container has changed of its image: see tree-changes.ts. */
  changes(content: SnapshotContent): Promise<Change[]>
  /** Brings what a container has changed into the store, as a layer. @param hold - keeps it there @returns its digest */
  importChanges(content: SnapshotContent, hold: Hold): Promise<Digest>
  /** Bytes of a layer's files. */
  layerBytes(diffId: Digest): number
  /** Resolves when what was imported so far is on the disk; nothing has to wait for it. */
  flushed(): Promise<void>
}

export interface ImageStoreOptions {
  /** Where `host:` looks for programs after the system's directories. Default: this process's PATH. */
  readonly path?: string
  /** Default: nothing insecure, no mirrors, no proxy. */
  readonly registries?: RegistrySettings
  /** Of build steps. Default: overlay. */
  readonly storageDriver?: StorageDriver
}

function notFound(reference: string): TsstackError {
  return new TsstackError('NOT_FOUND', `Cannot find image "${reference}": not in the local store`, {
    hint: 'Pull it with "tsstack pull", import it from oci:, oci-archive:, docker-archive: or dir:, or use a host: image',
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

interface OpenedParts extends StoreParts {
  readonly durability: Durability
}

function openParts(root: string): OpenedParts {
  const tmpDir = path.join(root, 'tmp')
  fs.mkdirSync(root, { recursive: true, mode: 0o700 })
  void sweep(tmpDir)
  const durability = openDurability(root, {
    discard(kind, name) {
      const file =
        kind === 'layers' ? path.join(root, kind, name) : path.join(root, kind, 'sha256', name)
      fs.rmSync(file, { recursive: true, force: true })
    },
  })
  const layers = new LayerStore(root, durability)
  const isComplete = ({ layers: diffIds }: Image): boolean =>
    diffIds.every((diffId) => layers.find(diffId) !== undefined)
  const records = new ImageRecords(root, isComplete)
  return {
    ...{ content: new ContentStore(root, durability), layers, records, tmpDir, durability },
    leases: new PullLeases(root),
    holds: new Holds(),
    pulled: new PullRecords(root),
    compressed: new CompressedLayers(root),
  }
}

class Store implements ImageStore {
  readonly #parts: OpenedParts
  readonly #assembler: HostAssembler
  readonly #resolving = new Map<string, Promise<Image>>()
  #last: Promise<unknown> = Promise.resolve()

  readonly remote: RemoteImages
  readonly archives: ImageArchives
  readonly builds: ImageBuilds

  constructor(
    parts: OpenedParts,
    assembler: HostAssembler,
    { registries = readRegistrySettings({}), storageDriver = 'overlay' }: ImageStoreOptions,
  ) {
    this.#parts = parts
    this.#assembler = assembler
    const context = {
      parts,
      underWay: new Map<Digest, Promise<unknown>>(),
      exclusive: <T>(work: () => Promise<T>) => this.#exclusive(work),
      collectGarbage: () => this.#collectGarbage(),
    }
    const find = (reference: string): Image => this.inspect(reference)
    this.remote = createRemoteImages(context, registries, find)
    this.archives = createImageArchives({ ...context, find })
    const root = path.dirname(parts.tmpDir)
    this.builds = createImageBuilds({ ...context, root, settings: registries, storageDriver })
  }

  async resolve(reference: string, { baseDir }: ResolveOptions = {}): Promise<Image> {
    if (isDigest(reference)) return this.inspect(reference)
    const parsed = absolute(parseReference(reference), baseDir)
    if (parsed.transport === 'docker') return this.inspect(reference)
    const canonical = formatReference(parsed)
    const fresh = this.#parts.records.findSource(canonical) ?? this.#resolving.get(canonical)
    if (fresh !== undefined) return fresh
    const result = this.#exclusive(() => this.#make(parsed)).finally(() => {
      this.#resolving.delete(canonical)
    })
    this.#resolving.set(canonical, result)
    return result
  }

  async importArchive(reference: string, { baseDir }: ResolveOptions = {}): Promise<ImageRecord[]> {
    const parsed = absolute(parseReference(reference), baseDir)
    if (parsed.transport === 'docker' || parsed.transport === 'host') {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot import "${reference}": it is not an archive`,
      )
    }
    const { image, names } = await this.#exclusive(() => resolveArchive(this.#parts, parsed))
    for (const name of names) await this.#parts.records.setReference(name, image.id)
    return names.map((name) => ({ reference: familiarReference(name), image }))
  }

  inspect(referenceOrId: string): Image {
    const image = isDigest(referenceOrId)
      ? this.#parts.records.images.get(referenceOrId)
      : (this.#findNamed(referenceOrId) ?? this.#findByPrefix(referenceOrId))
    if (image === undefined) throw notFound(referenceOrId)
    return image
  }

  list(): ImageRecord[] {
    const { references, images } = this.#parts.records
    return [...references].flatMap(([reference, id]) => {
      const image = images.get(id)
      return image === undefined ? [] : [{ reference: familiarReference(reference), image }]
    })
  }

  all(): readonly Image[] {
    return [...this.#parts.records.images.values()]
  }

  layerBytes(diffId: Digest): number {
    return this.#parts.layers.find(diffId)?.fileBytes ?? 0
  }

  async tag(referenceOrId: string, name: string): Promise<void> {
    const image = this.inspect(referenceOrId)
    await this.#parts.records.setReference(parseTag(name), image.id)
  }

  remove(referenceOrId: string, options: RemoveOptions = {}): Promise<RemovedImages> {
    return this.#exclusive(() => removeImage(this.#removal(options), referenceOrId))
  }

  prune(options: RemoveOptions = {}): Promise<RemovedImages> {
    return this.#exclusive(() => pruneImages(this.#removal(options)))
  }

  usage(inUse: ImagesInUse): ImageUsage {
    return measureImages(this.#parts, inUse)
  }

  layerPath(diffId: Digest): string {
    return this.#parts.layers.path(diffId)
  }

  changes(content: SnapshotContent): Promise<Change[]> {
    return changesOf(this.#treeOf(content))
  }

  async importChanges(content: SnapshotContent, hold: Hold): Promise<Digest> {
    return (await importChanges(this.#parts, this.#treeOf(content), hold)).diffId
  }

  flushed(): Promise<void> {
    return this.#parts.durability.flushed()
  }

  #treeOf(content: SnapshotContent): ContainerTree {
    return { ...content, layers: content.layers.map((diffId) => this.layerPath(diffId)) }
  }

  /** One change of the store at a time, in the order of the calls. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }

  async #make(parsed: Exclude<ImageReference, { transport: 'docker' }>): Promise<Image> {
    if (parsed.transport === 'host') return resolveHostImage(this.#parts, this.#assembler, parsed)
    return (await resolveArchive(this.#parts, parsed)).image
  }

  #findNamed(reference: string): Image | undefined {
    const { images, references } = this.#parts.records
    const parsed = parseReference(reference)
    const named = images.get(references.get(formatReference(parsed)) ?? '')
    if (named !== undefined || parsed.transport !== 'docker' || parsed.digest === undefined)
      return named
    const { digest: wanted } = parsed
    const pulled = this.#parts.pulled.list().find(({ manifestDigest }) => manifestDigest === wanted)
    return (
      [...images.values()].find(({ digest }) => digest === wanted) ??
      images.get(pulled?.imageId ?? '')
    )
  }

  #findByPrefix(text: string): Image | undefined {
    const hex = /^(?:sha256:)?([0-9a-f]{4,64})$/.exec(text)?.[1]
    if (hex === undefined) return undefined
    const { images } = this.#parts.records
    const matches = [...images.values()].filter(({ id }) => id.startsWith(`sha256:${hex}`))
    return matches.length === 1 ? matches[0] : undefined
  }

  #removal(options: RemoveOptions): Removal {
    const { all: isAll = false, replacedOnly = false } = options
    const { inUse = () => new Map(), matches = () => true } = options
    const find = (reference: string): Image => this.inspect(reference)
    const collectGarbage = (): Promise<void> => this.#collectGarbage()
    return { parts: this.#parts, inUse, isAll, replacedOnly, matches, find, collectGarbage }
  }

  /** Layers and blobs that no image has. */
  async #collectGarbage(): Promise<void> {
    const { content, layers, records, leases, holds, pulled, compressed } = this.#parts
    leases.sweep(false)
    const images = [...records.images.values()]
    const keptLayers = new Set(images.flatMap((image) => image.layers))
    const keptBlobs = new Set(images.flatMap((image) => referencedBlobs(this.#parts, image)))
    const isLayerHeld = (diffId: Digest): boolean =>
      leases.holdsLayer(diffId) || holds.has(diffId) || this.builds.holdsLayer(diffId)
    for (const diffId of layers.list())
      if (!keptLayers.has(diffId) && !isLayerHeld(diffId)) await layers.remove(diffId)
    for (const digest of content.list())
      if (!keptBlobs.has(digest) && !leases.holdsBlob(digest) && !holds.has(digest))
        content.remove(digest)
    records.prune((diffId) => keptLayers.has(diffId))
    pulled.prune((id) => records.images.has(id))
    compressed.prune((diffId) => layers.find(diffId) !== undefined)
  }
}

/** Opens the store in a directory, made if it is missing. One process at a time may use it. */
export function openImageStore(root: string, options: ImageStoreOptions = {}): ImageStore {
  const assembler = createHostAssembler(options.path ?? process.env.PATH ?? '')
  return new Store(openParts(root), assembler, options)
}
