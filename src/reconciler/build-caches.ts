/** `cache_from` and `cache_to` of one build. A cache that is not to be had never fails a build: it only makes more work. */
import path from 'node:path'
import type { BuildRequest } from '../api/build-types.ts'
import type { CachedStep } from '../engine/images/build-cache.ts'
import type { Digest, Image } from '../engine/images/image.ts'
import type { CachePlace, SharedCache } from '../engine/images/shared-cache.ts'
import { parseReference } from '../engine/images/reference.ts'
import { splitRegistry } from '../registry/image-name.ts'
import type { Credentials } from '../registry/credentials.ts'
import { parseBuildCache, type BuildCache } from '../spec/build-cache.ts'
import type { BuildDefinition } from '../spec/stack.ts'
import { toTsstackError } from '../errors.ts'
import type { Context } from './context.ts'

/** A cache as the stack file names it. */
export interface WrittenCache {
  readonly text: string
  readonly place: CachePlace
  /** With the layers of all stages; else those of the image. */
  readonly isWhole: boolean
}

export interface WrittenCaches {
  readonly from: readonly WrittenCache[]
  readonly to: readonly WrittenCache[]
  /** The image tells of its own steps. */
  readonly isInline: boolean
}

/** Where BuildKit keeps caches, and we can't. */
const UNUSED: Readonly<Record<string, string>> = {
  gha: 'it is for the runners of GitHub alone',
  s3: 'there is no client for S3 here',
  azblob: 'there is no client for Azure here',
}

/** @param refuse - makes the error @throws for a kind of cache that there is not */
export function readCaches(
  { cache_from: from = [], cache_to: to = [] }: BuildDefinition,
  workingDir: string,
  refuse: (state: string, hint: string) => Error,
): WrittenCaches {
  const placeOf = (cache: BuildCache, text: string): WrittenCache[] => {
    if (cache.kind === 'inline') return []
    if (cache.kind === 'unknown') {
      const reason = UNUSED[cache.type] ?? 'there is no such kind, or it does not say where'
      throw refuse(
        `cache "${text}" can't be used: ${reason}`,
        'Use type=registry,ref=NAME or type=local',
      )
    }
    const { isWhole } = cache
    if (cache.kind === 'registry')
      return [{ text, isWhole, place: { kind: 'registry', reference: cache.reference } }]
    const directory = path.resolve(workingDir, cache.directory)
    return [{ text, isWhole, place: { kind: 'local', directory } }]
  }
  const read = (texts: readonly string[]): WrittenCache[] =>
    texts.flatMap((text) => placeOf(parseBuildCache(text), text))
  const isInline = to.some((text) => parseBuildCache(text).kind === 'inline')
  return { from: read(from), to: read(to), isInline }
}

export interface BuildCaches {
  readonly find: (key: Digest) => Promise<CachedStep | undefined>
  /** Gives the steps of a build to the caches that it writes. */
  readonly write: (steps: readonly CachedStep[], image: Image) => Promise<void>
  readonly close: () => Promise<void>
}

function credentialsOf(
  { credentials = {} }: BuildRequest,
  place: CachePlace,
): Credentials | undefined {
  if (place.kind === 'local') return undefined
  const parsed = parseReference(place.reference)
  return parsed.transport === 'docker'
    ? credentials[splitRegistry(parsed.name).registry]
    : undefined
}

/** @param warn - told once of each cache that fails */
export function openBuildCaches(
  { images: { builds } }: Context,
  { from, to }: WrittenCaches,
  {
    request,
    signal,
    warn,
  }: {
    readonly request: BuildRequest
    readonly signal: AbortSignal
    readonly warn: (message: string) => void
  },
): BuildCaches {
  const optionsFor = (
    place: CachePlace,
  ): { signal: AbortSignal; credentials: Credentials | undefined } => {
    return { signal, credentials: credentialsOf(request, place) }
  }
  const failed = new Set<SharedCache>()
  const opened = from.map(({ text, place }) => {
    return { text, cache: builds.sharedCache(place, optionsFor(place)) }
  })
  const tell = (verb: string, text: string, error: unknown): void => {
    signal.throwIfAborted()
    warn(`Cannot ${verb} cache "${text}": ${toTsstackError(error).message}`)
  }
  return {
    async find(key) {
      for (const { text, cache } of opened) {
        if (failed.has(cache)) continue
        try {
          const step = await cache.find(key)
          if (step !== undefined) return step
        } catch (error) {
          if (!failed.has(cache)) tell('read', text, error)
          failed.add(cache)
        }
      }
      return undefined
    },
    async write(steps, image) {
      const own = steps.filter(({ diffId }) => image.layers.includes(diffId))
      for (const { text, place, isWhole } of to)
        await builds
          .exportCache(isWhole ? steps : own, place, optionsFor(place))
          .catch((error: unknown) => {
            tell('write', text, error)
          })
    },
    async close() {
      await Promise.all(opened.map(({ cache }) => cache.close()))
    },
  }
}
