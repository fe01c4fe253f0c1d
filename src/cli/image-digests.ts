/** Images by the digest that their registries have for them now: `config --resolve-image-digests`. */
import { TsstackError } from '../errors.ts'
import { findCredentials } from '../registry/docker-config.ts'
import { parseName, splitRegistry } from '../registry/image-name.ts'
import { openRegistry } from '../registry/open-registry.ts'
import { readRegistrySettings } from '../registry/registry-settings.ts'
import type { Service, Stack } from '../spec/stack.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Images that no registry has: put together from this host, or read from its disk. */
const LOCAL = /^(?:host|dir|oci|oci-archive|docker-archive):/

/**
 * The stack with each image pinned: `nginx:1` becomes `nginx:1@sha256:…`. Those that are pinned stay, and services that
 * are only built have none.
 * @throws {FAILED_PRECONDITION} for an image that no registry has; {NOT_FOUND} for one that its registry has not; what
 *   the registry answers
 */
export async function pinImages(stack: Stack, env: Environment): Promise<Stack> {
  const images = new Map<string, Promise<string>>()
  const pinned = async ([name, service]: readonly [string, Service]): Promise<
    readonly [string, Service]
  > => {
    const { image } = service
    if (image === undefined || image === '') return [name, service]
    const pinning = images.get(image) ?? pin(image, name, env)
    images.set(image, pinning)
    return [name, { ...service, image: await pinning }]
  }
  const services = await Promise.all(Object.entries(stack.services).map(pinned))
  return { ...stack, services: Object.fromEntries(services) }
}

async function pin(image: string, service: string, env: Environment): Promise<string> {
  if (LOCAL.test(image)) {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot pin image "${image}" of service "${service}": it is made on this host, and no registry has a digest of it`,
      { hint: 'Leave the service out, or name an image of a registry.' },
    )
  }
  const { name, tag = 'latest', digest } = parseName(image)
  if (digest !== undefined) return image
  const { registry, repository } = splitRegistry(name)
  const found = await digestOf({ registry, repository, tag }, env)
  if (found !== undefined) return `${image}@${found}`
  throw new TsstackError('NOT_FOUND', `Cannot pin image "${image}": its registry has no such tag`)
}

interface RemoteTag {
  readonly registry: string
  readonly repository: string
  readonly tag: string
}

async function digestOf(
  { registry, repository, tag }: RemoteTag,
  env: Environment,
): Promise<string | undefined> {
  const settings = readRegistrySettings(env)
  const credentials = await findCredentials(env, [registry])
  const mirrors = registry === 'docker.io' ? settings.mirrors : []
  for (const mirror of mirrors) {
    const client = openRegistry(registry, { settings, mirror })
    // A mirror that does not answer is none; the registry itself is asked next.
    const found = await client.digestOf(repository, tag).catch(() => undefined)
    client.close()
    if (found !== undefined) return found
  }
  const client = openRegistry(registry, { settings, credentials: credentials[registry] })
  try {
    return await client.digestOf(repository, tag)
  } finally {
    client.close()
  }
}

/** Only the images: a file that pins them when it is merged over the others. */
export function onlyImages(stack: Stack): Pick<Stack, 'services'> {
  const services = Object.entries(stack.services).flatMap(([name, { image }]) =>
    image === undefined ? [] : [[name, { image }] as const],
  )
  return { services: Object.fromEntries(services) }
}
