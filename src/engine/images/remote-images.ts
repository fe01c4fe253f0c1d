/** The store's way to registries: pull, push, and a look at what is there. */
import { TsstackError } from '../../errors.ts'
import { splitRegistry, type NamedReference } from '../../registry/image-name.ts'
import type { RegistrySettings } from '../../registry/registry-settings.ts'
import type { Digest, Image } from './image.ts'
import {
  pullFailure,
  pullImage,
  withRegistry,
  type PullContext,
  type PulledImage,
  type TransferOptions,
} from './pull-image.ts'
import type { PullRecord } from './pull-records.ts'
import { pushImage, type PushedImage, type PushOptions } from './push-image.ts'
import { formatReference, parseReference } from './reference.ts'
import { findRemoteImage, type RemoteImage } from './remote-image.ts'

export type RemoteOptions = Omit<TransferOptions, 'settings'>

export interface RemoteImages {
  /** See `pullImage`. Pulls at the same time bring a layer that they share once. */
  pull(reference: string, options?: RemoteOptions): Promise<PulledImage>
  /** See `pushImage`. @throws {NOT_FOUND} not in the store */
  push(reference: string, options?: Omit<PushOptions, 'settings'>): Promise<PushedImage>
  /** The id of what would be pulled; fetches no layer. */
  lookUp(reference: string, options?: RemoteOptions): Promise<Digest>
  /** The digest of what a name stands for now. @throws {FAILED_PRECONDITION} nothing of it is for this machine */
  digestOf(reference: string, options?: RemoteOptions): Promise<Digest>
  /** The tags of a repository, sorted; of an image's name its repository counts. @throws {NOT_FOUND} no such repository */
  tags(repository: string, options?: RemoteOptions): Promise<string[]>
  /** When a name was last pulled, pushed or found unchanged. */
  lastPull(reference: string): PullRecord | undefined
}

/** @throws {INVALID_ARGUMENT} a reference to something on disk */
function named(reference: string, verb: string): NamedReference {
  const parsed = parseReference(reference)
  if (parsed.transport === 'docker') return parsed
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot ${verb} "${reference}": it is not the name of an image in a registry`,
  )
}

export function createRemoteImages(
  context: PullContext,
  settings: RegistrySettings,
  find: (reference: string) => Image,
): RemoteImages {
  const lookUp = async (reference: string, options: RemoteOptions): Promise<RemoteImage> => {
    const parsed = named(reference, 'look up')
    const { registry: registryName, repository } = splitRegistry(parsed.name)
    const wanted = parsed.digest ?? parsed.tag ?? 'latest'
    try {
      return await withRegistry(registryName, { ...options, settings }, (registry) =>
        findRemoteImage(registry, repository, wanted, options.platform),
      )
    } catch (error) {
      throw pullFailure(parsed, error, 'look up')
    }
  }
  return {
    pull: (reference, options = {}) =>
      pullImage(context, named(reference, 'pull'), { ...options, settings }),
    async push(reference, options = {}) {
      const parsed = named(reference, 'push')
      if (parsed.digest !== undefined) {
        throw new TsstackError(
          'INVALID_ARGUMENT',
          `Cannot push "${reference}": it names a digest, not a tag`,
        )
      }
      const image = find(reference)
      const all = { ...options, settings }
      return pushImage(context.parts, { image, reference: parsed }, all)
    },
    lookUp: async (reference, options = {}) =>
      (await lookUp(reference, options)).manifest.config.digest,
    digestOf: async (reference, options = {}) => (await lookUp(reference, options)).remoteDigest,
    async tags(name, options = {}) {
      const parsed = named(name, 'list the tags of')
      const { registry: registryName, repository } = splitRegistry(parsed.name)
      const all = { ...options, settings }
      const tags = await withRegistry(registryName, all, (registry) => registry.tags(repository))
      return tags.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    },
    lastPull: (reference) => context.parts.pulled.find(formatReference(parseReference(reference))),
  }
}
