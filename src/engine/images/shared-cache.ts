/**
 * Caches of builds that hosts share: images in registries or in OCI layouts whose configuration names the steps that made
 * their layers (shared-steps.ts). A layer comes when a build asks for its step, not before. What a cache says is believed
 * by the builds that name it, and by no others: its steps are remembered under keys of their own.
 */
import { splitRegistry } from '../../registry/image-name.ts'
import { openRegistry } from '../../registry/open-registry.ts'
import type { RegistryOptions } from '../../registry/registry-caller.ts'
import { TsstackError } from '../../errors.ts'
import { openDirectoryFiles } from './archive-files.ts'
import { readOciLayout } from './archive-image.ts'
import type { CachedStep } from './build-cache.ts'
import { decompress } from './decompress.ts'
import { digestOf, parseImageConfig, type Digest } from './image.ts'
import { streamOf } from './packed-file.ts'
import { checkLayer, unpackDigested } from './unpack-packed.ts'
import { parseReference } from './reference.ts'
import { findRemoteImage, readRemoteConfig } from './remote-image.ts'
import { parseSteps } from './shared-steps.ts'
import type { StoreParts } from './store-parts.ts'

/** Where a cache is. */
export type CachePlace =
  /** The name of an image in a registry. */
  | { readonly kind: 'registry'; readonly reference: string }
  /** An OCI layout; absolute. */
  | { readonly kind: 'local'; readonly directory: string }

export interface SharedCache {
  /** Brings the layer of a step, if the cache has it. @throws what the registry or the file system says */
  readonly find: (key: Digest) => Promise<CachedStep | undefined>
  readonly close: () => Promise<void>
}

/** A cache that was found. */
interface Opened {
  readonly steps: ReadonlyMap<Digest, CachedStep>
  /** A layer as it is packed there. */
  readonly open: (diffId: Digest) => AsyncIterable<Buffer>
  readonly close: () => void | Promise<void>
}

function missing(diffId: Digest): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot use cache: it has no layer "${diffId}"`)
}

function stepsOf(configBytes: Buffer, layers: readonly Digest[]): Opened['steps'] {
  const steps = parseSteps(JSON.parse(configBytes.toString('utf8')), layers)
  return new Map(steps.map((step) => [step.key, step]))
}

async function openRemote(reference: string, options: RegistryOptions): Promise<Opened> {
  const named = parseReference(reference)
  if (named.transport !== 'docker')
    throw new TsstackError('INVALID_ARGUMENT', `Cannot use cache "${reference}": it is no name`)
  const { registry: host, repository } = splitRegistry(named.name)
  const registry = openRegistry(host, options)
  try {
    const remote = await findRemoteImage(
      registry,
      repository,
      named.digest ?? named.tag ?? 'latest',
    )
    const configBytes = await readRemoteConfig(registry, repository, remote, options)
    const { layers } = parseImageConfig(configBytes)
    const close = (): void => {
      registry.close()
    }
    async function* open(diffId: Digest): AsyncGenerator<Buffer> {
      const descriptor = remote.manifest.layers[layers.indexOf(diffId)]
      if (descriptor === undefined) throw missing(diffId)
      yield* (await registry.blob(repository, descriptor.digest)).chunks
    }
    return { steps: stepsOf(configBytes, layers), open, close }
  } catch (error) {
    registry.close()
    throw error
  }
}

async function openLayout(directory: string): Promise<Opened> {
  const files = openDirectoryFiles(directory)
  try {
    const { config, configBytes, layers } = await readOciLayout(files, undefined)
    const open = (diffId: Digest): AsyncIterable<Buffer> => {
      const layer = layers.find((each) => each.diffId === diffId)
      if (layer === undefined) throw missing(diffId)
      return streamOf(layer.open())
    }
    return { steps: stepsOf(configBytes, config.layers), open, close: files.close }
  } catch (error) {
    await files.close()
    throw error
  }
}

/** This host's own cache: see `ImageBuilds`. */
interface StepMemory {
  readonly cached: (key: Digest) => CachedStep | undefined
  readonly alias: (key: Digest, step: CachedStep) => void
}

/** @param builds - remembers what was brought */
export function openSharedCache(
  { layers, holds }: Pick<StoreParts, 'layers' | 'holds'>,
  builds: StepMemory,
  { place, options }: { readonly place: CachePlace; readonly options: RegistryOptions },
): SharedCache {
  let opened: Promise<Opened> | undefined
  const ownKey = (key: Digest): Digest => digestOf(JSON.stringify(['shared', place, key]))
  return {
    async find(key) {
      const known = builds.cached(ownKey(key))
      if (known !== undefined) return { ...known, key }
      opened ??=
        place.kind === 'local' ? openLayout(place.directory) : openRemote(place.reference, options)
      const { steps, open } = await opened
      const step = steps.get(key)
      if (step === undefined) return undefined
      const { diffId } = step
      const hold = holds.open()
      hold.add([diffId]) // until the step is remembered nothing else needs it
      try {
        if (layers.find(diffId) === undefined)
          await layers.make(async (tree) =>
            checkLayer(await unpackDigested(decompress(open(diffId)), tree), diffId),
          )
        builds.alias(ownKey(key), step)
      } finally {
        hold.release()
      }
      return step
    },
    async close() {
      const found = await opened?.catch(() => undefined)
      await found?.close()
    },
  }
}
