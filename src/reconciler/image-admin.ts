/** Images as things of their own: listed, looked at, removed when nothing uses them. */
import type {
  HistoryEntry,
  ImageDetail,
  ImageListEntry,
  RemovedImagesResponse,
  RemoveImagesRequest,
} from '../api/image-types.ts'
import { applyChanges } from '../builder/apply-changes.ts'
import { emptyState } from '../builder/stage-state.ts'
import type { HistoryStep, Image } from '../engine/images/image.ts'
import { toTsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import { originOf } from './image-origin.ts'
import { imagesInUse, imagesToKeep } from './images-in-use.ts'
import { pruneFilter } from './prune-filter.ts'

const MAX_HISTORY = 2000

/** A row for each name, and one for each image without a name. */
export function listImages(context: Context): ImageListEntry[] {
  const named = context.images.list()
  const names = new Set(named.map(({ image }) => image.id))
  const nameless = context.images.all().filter(({ id }) => !names.has(id))
  const configs = context.containers.values().map(({ config }) => config)
  const row = (image: Image, reference?: string): ImageListEntry => ({
    id: image.id,
    ...(reference === undefined ? {} : { reference, ...remoteDigest(context, image, reference) }),
    labels: image.config.labels,
    createdAt: image.created,
    sizeBytes: image.sizeBytes,
    containers: configs.filter((config) => config.image.id === image.id).length,
  })
  return [
    ...named.map(({ image, reference }) => row(image, reference)),
    ...nameless.map((image) => row(image)),
  ]
}

function remoteDigest(
  context: Context,
  { id }: Image,
  reference: string,
): { readonly remoteDigest?: string } {
  const pulled = context.images.remote.lastPull(reference)
  return pulled?.imageId === id ? { remoteDigest: pulled.remoteDigest } : {}
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** `docker.io/library/nginx:1` and a digest -> `nginx@sha256:…`. */
function repoDigest(reference: string, digest: string): string {
  return `${reference.replace(/@.*$/, '').replace(/:[^:/]*$/, '')}@${digest}`
}

/** @throws {NOT_FOUND} */
export function inspectImage(context: Context, name: string): ImageDetail {
  const image = context.images.inspect(name)
  const references = context.images
    .list()
    .filter((record) => record.image.id === image.id)
    .map(({ reference }) => reference)
  const digests = references.flatMap((reference) => {
    const { remoteDigest: digest } = remoteDigest(context, image, reference)
    return digest === undefined ? [] : [repoDigest(reference, digest)]
  })
  const { history, author } = originOf(context, image)
  return {
    id: image.id,
    tags: references.filter((reference) => !reference.includes('@')),
    repoDigests: [...new Set(digests)],
    createdAt: image.created,
    architecture: image.architecture,
    os: image.os,
    sizeBytes: image.sizeBytes,
    layers: image.layers,
    author: author ?? '',
    comment: history.at(-1)?.comment ?? '',
    manifest: context.images.archives.manifest(image.id),
    config: object(object(context.images.archives.config(image.id))['config']),
  }
}

/** The newest first. @throws {NOT_FOUND} */
export function imageHistory(context: Context, name: string): HistoryEntry[] {
  const image = context.images.inspect(name)
  const { history } = originOf(context, image)
  const layers = image.layers.map((diffId) => context.images.layerBytes(diffId))
  const known = history.length === 0 ? layers.map((): HistoryStep => ({})) : history
  const steps = known.slice(0, MAX_HISTORY).map((step): HistoryEntry => {
    const { created = image.created, createdBy = '', comment = '', isEmpty = false } = step
    const sizeBytes = isEmpty ? 0 : (layers.shift() ?? 0)
    return { created, createdBy, comment, sizeBytes }
  })
  return steps.toReversed()
}

/**
 * Removes images that nothing needs: those without a name, or all.
 * @param filters - as `pruneFilter` @throws {INVALID_ARGUMENT}
 */
export function pruneImages(
  context: Context,
  { all = false, filters = [] }: { readonly all?: boolean; readonly filters?: readonly string[] },
): Promise<RemovedImagesResponse> {
  const fits = pruneFilter(filters)
  const matches = ({ created, config }: Image): boolean =>
    fits({ createdAt: created, labels: config.labels })
  return context.images.prune({ inUse: () => imagesToKeep(context), all, matches })
}

/** @throws {NOT_FOUND} {FAILED_PRECONDITION} the first that can't be removed, when all others are */
export async function removeImages(
  context: Context,
  { images, force }: RemoveImagesRequest,
): Promise<RemovedImagesResponse> {
  const untagged: string[] = []
  const deleted: string[] = []
  let reclaimedBytes = 0
  let failure: unknown
  const options = { inUse: () => imagesInUse(context), all: force ?? false }
  for (const image of images) {
    try {
      const removed = await context.images.remove(image, options)
      untagged.push(...removed.untagged)
      deleted.push(...removed.deleted)
      reclaimedBytes += removed.reclaimedBytes
    } catch (error) {
      failure ??= error
    }
  }
  if (failure !== undefined) throw toTsstackError(failure)
  return { untagged, deleted, reclaimedBytes }
}

/**
 * An image out of a root file system.
 * @param changes - instructions of a Dockerfile for its configuration, read before the archive is
 * @throws {INVALID_ARGUMENT} a change is no instruction, the archive is damaged or hostile
 */
export async function importImage(
  context: Context,
  archive: AsyncIterable<Buffer>,
  { name, changes = [] }: { readonly name?: string; readonly changes?: readonly string[] },
): Promise<{ readonly id: string }> {
  const state = emptyState()
  applyChanges(state, changes)
  const names = name === undefined ? [] : [name]
  const { id } = await context.images.archives.importTree(archive, { config: state.config, names })
  return { id }
}
