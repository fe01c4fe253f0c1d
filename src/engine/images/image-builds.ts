/**
 * Making images step by step: a draft is a writable tree over layers, and becomes a layer itself; layers and a
 * configuration become an image. Steps are remembered by their keys (build-cache.ts).
 *
 *   <root>/drafts/<random>/    snapshots in the making; those of an earlier process are swept when the store opens
 */
import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import type { Mount } from '../../kernel/mount.ts'
import { BuildCache, type CachedStep } from './build-cache.ts'
import type { Hold } from './holds.ts'
import type { Digest, Image, ImageOrigin, ParsedConfig } from './image.ts'
import type { LayerRecord } from './layer-store.ts'
import { parseManifest, type Descriptor } from './manifest.ts'
import { openOverlaySnapshotter } from './overlay-snapshotter.ts'
import { parseTag } from './reference.ts'
import type { RegistrySettings } from '../../registry/registry-settings.ts'
import type { RemoteOptions } from './remote-images.ts'
import { exportSharedCache } from './shared-cache-export.ts'
import { openSharedCache, type CachePlace, type SharedCache } from './shared-cache.ts'
import { addBuiltImage, addImageNamed, type StoreParts } from './store-parts.ts'
import { adoptUpper, type UpperOptions } from './upper-layer.ts'

/** A tree over layers that can be written to. */
export interface LayerDraft {
  readonly mount: Mount & { readonly kind: 'overlay'; readonly upperdir: string }
  /** Removes what was written, if it became no layer. Nothing may be mounted of it. Safe to call twice. */
  readonly discard: () => Promise<void>
}

export interface BuiltImageOptions {
  /** The images that its lower layers come from: those layers stay packed as they were. */
  readonly bases: readonly Image[]
  readonly origin: ImageOrigin
  readonly names?: readonly string[]
}

export interface ImageBuilds {
  /** Of layers that a build needs, and of images that it is made of. */
  lease(): Hold
  /** @param owner - the id of the host that is the tree's root: as `SnapshotOptions.uid` */
  draft(layers: readonly Digest[], owner: number): Promise<LayerDraft>
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
  /** Forgets steps, the least recently used first, until their layers take no more than `maxBytes`. */
  prune(maxBytes: number): Promise<{ readonly steps: number; readonly reclaimedBytes: number }>
  /** Whether a step that is remembered made a layer. */
  holdsLayer(diffId: Digest): boolean
}

interface Access {
  readonly root: string
  readonly parts: StoreParts
  readonly settings: RegistrySettings
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>
  readonly collectGarbage: () => Promise<void>
}

/** Opened once for each store. */
export function createImageBuilds(access: Access): ImageBuilds {
  const { root, parts, settings, exclusive, collectGarbage } = access
  const cache = new BuildCache(root)
  const snapshots = openOverlaySnapshotter({
    root: path.join(root, 'drafts'),
    layerPath: (diffId) => parts.layers.path(diffId),
  })
  for (const key of snapshots.list()) void snapshots.remove(key).catch(() => undefined)

  const builds: ImageBuilds = {
    lease: () => parts.holds.open(),
    draft: (layers, owner) => makeDraft(snapshots, layers, owner),
    commit: (draft, step, options) =>
      exclusive(async () => {
        const { upperdir } = draft.mount
        const { diffId } = await parts.layers.make((tree) => adoptUpper(upperdir, tree, options))
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
    prune: (maxBytes) =>
      exclusive(async () => {
        const before = cacheOnlyBytes(parts, cache)
        const steps = forgetSteps(parts, cache, maxBytes)
        if (steps > 0) await collectGarbage()
        return { steps, reclaimedBytes: before - cacheOnlyBytes(parts, cache) }
      }),
    holdsLayer: (diffId) => cache.layers().has(diffId),
  }
  return builds
}

async function makeDraft(
  snapshots: ReturnType<typeof openOverlaySnapshotter>,
  layers: readonly Digest[],
  owner: number,
): Promise<LayerDraft> {
  const key = randomUUID()
  const mount = await snapshots.prepare(key, { id: key, layers }, { uid: owner, gid: owner })
  if (mount.kind !== 'overlay' || mount.upperdir === undefined)
    throw new TsstackError('INTERNAL', 'Cannot make a draft: it is no overlay')
  const { upperdir } = mount
  return { mount: { ...mount, upperdir }, discard: () => snapshots.remove(key) }
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
function forgetSteps(parts: StoreParts, cache: BuildCache, maxBytes: number): number {
  const layers = cacheOnlyLayers(parts, cache)
  let bytes = [...layers.values()].reduce((total, size) => total + size, 0)
  let forgotten = 0
  for (const { key, diffId } of cache.list()) {
    if (maxBytes > 0 && bytes <= maxBytes) break
    cache.remove(key)
    forgotten++
    if (!cache.layers().has(diffId)) bytes -= layers.get(diffId) ?? 0
  }
  return forgotten
}
