/**
 * Making images step by step: a draft is a writable tree over layers, and becomes a layer itself; layers and a
 * configuration become an image. Steps are remembered by their keys (build-cache.ts).
 *
 *   <root>/drafts/<driver>/<random>/    snapshots in the making; those of an earlier process are swept when the store opens
 *   <root>/empty/                       two directories of nothing
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { TsstackError } from '../../errors.ts'
import type { Mount } from '../../kernel/mount.ts'
import { BuildCache, type CachedStep } from './build-cache.ts'
import { importChanges } from './container-layer.ts'
import type { Hold } from './holds.ts'
import type { Digest, Image, ImageOrigin, ParsedConfig } from './image.ts'
import type { LayerRecord } from './layer-store.ts'
import { parseManifest, type Descriptor } from './manifest.ts'
import { readOnlyOverlay } from './overlay-snapshotter.ts'
import { openSnapshotter, type StorageDriver } from './open-snapshotter.ts'
import { parseTag } from './reference.ts'
import type { RegistrySettings } from '../../registry/registry-settings.ts'
import type { RemoteOptions } from './remote-images.ts'
import { exportSharedCache } from './shared-cache-export.ts'
import { openSharedCache, type CachePlace, type SharedCache } from './shared-cache.ts'
import { addBuiltImage, addImageNamed, type StoreParts } from './store-parts.ts'
import { FILE_CLOCK_MS } from './snapshot-directory.ts'
import type { SnapshotContent, Snapshotter } from './snapshotter.ts'
import { adoptUpper, type UpperOptions } from './upper-layer.ts'

/** A tree over layers that can be written to. */
export interface LayerDraft {
  readonly mount: Mount
  /** Where what is written lies on disk. */
  readonly content: SnapshotContent
  /** Removes what was written, if it became no layer. Nothing may be mounted of it. Safe to call twice. */
  readonly discard: () => Promise<void>
}

export interface BuiltImageOptions {
  /** The images that its lower layers come from: those layers stay packed as they were. */
  readonly bases: readonly Image[]
  readonly origin: ImageOrigin
  readonly names?: readonly string[]
}

export interface PruneLimits {
  /** Until the layers of the others take no more. */
  readonly maxBytes: number
  /** Milliseconds since the epoch: what was of use then or later stays. */
  readonly usedBefore?: number | undefined
}

export interface ImageBuilds {
  /** Of layers that a build needs, and of images that it is made of. */
  lease(): Hold
  /** @param owner - the id of the host that is the tree's root: as `SnapshotOptions.uid` */
  draft(layers: readonly Digest[], owner: number): Promise<LayerDraft>
  /** Layers as a tree that nobody writes to; there as long as they are held. */
  reading(layers: readonly Digest[]): Mount
  /** Makes a layer of what was written into a draft, and remembers the step. Nothing may be mounted of it any more. */
  commit(
    draft: LayerDraft,
    step: Omit<CachedStep, 'diffId'>,
    options: UpperOptions,
  ): Promise<CachedStep>
  /** @returns undefined when the step is not known, or its layer is gone */
  cached(key: Digest): CachedStep | undefined
  /** Remembers a step under another key, too. */
  alias(key: Digest, step: CachedStep): void
  /**
   * An image of layers that are in the store, with the names that it shall have from its first moment.
   * @throws {FAILED_PRECONDITION} a base was removed meanwhile; {INVALID_ARGUMENT} a name is none
   */
  addImage(config: ParsedConfig, options: BuiltImageOptions): Promise<Image>
  /** A cache that other hosts write, too. Asks nobody before a step is looked for. */
  sharedCache(place: CachePlace, options: RemoteOptions): SharedCache
  /** See `exportSharedCache`. */
  exportCache(
    steps: readonly CachedStep[],
    place: CachePlace,
    options: RemoteOptions,
  ): Promise<void>
  /** How many steps the cache knows. */
  cachedSteps(): number
  /** Bytes of the layers that only the cache keeps. */
  cacheBytes(): number
  /** Forgets steps, the least recently used first. */
  prune(limits: PruneLimits): Promise<{ readonly steps: number; readonly reclaimedBytes: number }>
  /** Whether a step that is remembered made a layer. */
  holdsLayer(diffId: Digest): boolean
}

interface Access {
  readonly root: string
  /** Of the drafts: the same as that of containers. */
  readonly storageDriver: StorageDriver
  readonly parts: StoreParts
  readonly settings: RegistrySettings
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>
  readonly collectGarbage: () => Promise<void>
}

/** Opened once for each store. */
export function createImageBuilds(access: Access): ImageBuilds {
  const { root, parts, settings, exclusive, collectGarbage } = access
  const cache = new BuildCache(root)
  const layerPath = (diffId: Digest): string => parts.layers.path(diffId)
  const snapshots = openSnapshotter(access.storageDriver, path.join(root, 'drafts'), { layerPath })
  const nothing = [path.join(root, 'empty/1'), path.join(root, 'empty/2')] as const
  for (const directory of nothing) mkdirSync(directory, { recursive: true })
  for (const key of snapshots.list()) void snapshots.remove(key).catch(() => undefined)

  const builds: ImageBuilds = {
    lease: () => parts.holds.open(),
    draft: (layers, owner) => makeDraft(snapshots, layers, owner),
    reading: (layers) => readOnlyOverlay(layers.map(layerPath), nothing),
    commit: (draft, step, options) =>
      exclusive(async () => {
        const { diffId } = await layerOf(parts, draft.content, options)
        const made = { ...step, diffId }
        cache.put(made)
        return made
      }),
    cached(key) {
      const step = cache.find(key)
      return step !== undefined && parts.layers.find(step.diffId) !== undefined ? step : undefined
    },
    alias(key, step) {
      cache.put({ ...step, key })
    },
    addImage(config, options) {
      const names = (options.names ?? []).map(parseTag)
      return exclusive(() => addImageNamed(parts, addImage(parts, config, options), names))
    },
    sharedCache: (place, options) =>
      openSharedCache(parts, builds, { place, options: { ...options, settings } }),
    exportCache: (steps, place, options) =>
      exportSharedCache(parts, steps, { place, options: { ...options, settings } }),
    cachedSteps: () => cache.size,
    cacheBytes: () => cacheOnlyBytes(parts, cache),
    prune: (limits) =>
      exclusive(async () => {
        const before = cacheOnlyBytes(parts, cache)
        const steps = forgetSteps(parts, cache, limits)
        if (steps > 0) await collectGarbage()
        return { steps, reclaimedBytes: before - cacheOnlyBytes(parts, cache) }
      }),
    holdsLayer: (diffId) => cache.hasLayer(diffId),
  }
  return builds
}

async function makeDraft(
  snapshots: Snapshotter,
  layers: readonly Digest[],
  owner: number,
): Promise<LayerDraft> {
  const key = randomUUID()
  const mount = await snapshots.prepare(key, { id: key, layers }, { uid: owner, gid: owner })
  const content = snapshots.content(key)
  if (content.wholeSince !== undefined) await setTimeout(FILE_CLOCK_MS) // what is written is younger than the tree
  return { mount, content, discard: () => snapshots.remove(key) }
}

/** An upper directory becomes the layer; of a whole tree what was changed is copied. */
function layerOf(
  parts: StoreParts,
  content: SnapshotContent,
  options: UpperOptions,
): Promise<LayerRecord> {
  const { latest } = options
  if (content.wholeSince === undefined)
    return parts.layers.make((tree) => adoptUpper(content.path, tree, options))
  const layers = content.layers.map((diffId) => parts.layers.path(diffId))
  const tree = { ...content, layers, ...(latest === undefined ? {} : { latest }) }
  const hold = parts.holds.open()
  return importChanges(parts, tree, hold).finally(hold.release) // no garbage is collected meanwhile
}

function packedLayers(parts: StoreParts, base: Image): (readonly [Digest, Descriptor])[] {
  const manifest = parseManifest(parts.content.read(base.digest), base.digest)
  const descriptors = manifest.kind === 'image' ? manifest.layers : []
  return base.layers.flatMap((diffId, index): (readonly [Digest, Descriptor])[] => {
    const descriptor = descriptors[index]
    return descriptor === undefined ? [] : [[diffId, descriptor]]
  })
}

function addImage(
  parts: StoreParts,
  config: ParsedConfig,
  { bases, origin }: BuiltImageOptions,
): Image {
  const packed = new Map(bases.flatMap((base) => packedLayers(parts, base)))
  const layers = config.layers.map((diffId) => {
    const record: LayerRecord | undefined = parts.layers.find(diffId)
    if (record === undefined)
      throw new TsstackError(
        'FAILED_PRECONDITION',
        `Cannot make an image: layer "${diffId}" was removed meanwhile`,
      )
    const descriptor = packed.get(diffId)
    return descriptor === undefined ? record : { ...record, packed: descriptor }
  })
  const { layers: diffIds, ...rest } = config
  return addBuiltImage(parts, rest, layers, origin)
}

/** By layer: bytes of those that no image has. */
function cacheOnlyLayers(parts: StoreParts, cache: BuildCache): Map<Digest, number> {
  const images = new Set([...parts.records.images.values()].flatMap(({ layers }) => layers))
  const own = [...cache.layers()].filter((diffId) => !images.has(diffId))
  return new Map(own.map((diffId) => [diffId, parts.layers.find(diffId)?.fileBytes ?? 0]))
}

function cacheOnlyBytes(parts: StoreParts, cache: BuildCache): number {
  return [...cacheOnlyLayers(parts, cache).values()].reduce((total, bytes) => total + bytes, 0)
}

/** @returns how many */
function forgetSteps(
  parts: StoreParts,
  cache: BuildCache,
  { maxBytes, usedBefore = Infinity }: PruneLimits,
): number {
  const layers = cacheOnlyLayers(parts, cache)
  let bytes = [...layers.values()].reduce((total, size) => total + size, 0)
  let forgotten = 0
  for (const { key, diffId, usedAtMs } of cache.list()) {
    if (usedAtMs >= usedBefore) break
    if (maxBytes > 0 && bytes <= maxBytes) break
    cache.remove(key)
    forgotten++
    if (!cache.hasLayer(diffId)) bytes -= layers.get(diffId) ?? 0
  }
  return forgotten
}
