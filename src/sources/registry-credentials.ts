/** The user's credentials for the registries that images come from: they are read here, and go with the request. */
import type { Stack } from '../spec/stack.ts'
import type { CredentialsByRegistry } from '../registry/credentials.ts'

type Environment = Readonly<Record<string, string | undefined>>

const LOCAL = /^(?:host|dir|oci|oci-archive|docker-archive):/

/**
 * For names of images; what is no name of a registry's image is passed over.
 * @throws {INVALID_ARGUMENT} {FAILED_PRECONDITION} config.json is damaged, a helper is missing
 */
export async function credentialsFor(
  env: Environment,
  references: readonly string[],
): Promise<{ readonly credentials?: CredentialsByRegistry }> {
  const names = references.filter((reference) => !LOCAL.test(reference))
  if (names.length === 0) return {}
  const { parseName, splitRegistry } = await import('../registry/image-name.ts')
  const { findCredentials } = await import('../registry/docker-config.ts')
  const registries = names.flatMap((name) => {
    try {
      return [splitRegistry(parseName(name.replace(/^docker:\/\//, '')).name).registry]
    } catch {
      return [] // the daemon will say what is wrong with it
    }
  })
  const credentials = await findCredentials(env, registries)
  return Object.keys(credentials).length === 0 ? {} : { credentials }
}

/** For the images of a stack. */
export function credentialsForStack(
  env: Environment,
  { services }: Stack,
): Promise<{ readonly credentials?: CredentialsByRegistry }> {
  const images = Object.values(services).flatMap(
    ({ image, volumes = [], pre_start: hooks = [] }) => [
      ...(image === undefined ? [] : [image]),
      ...volumes.flatMap(({ type, source }) => (type === 'image' ? (source ?? []) : [])),
      ...hooks.flatMap((hook) => hook.image ?? []),
    ],
  )
  return credentialsFor(env, images)
}

/** For the images of a stack, and for whatever base images its Dockerfiles name: all that the user is logged in to. */
export async function credentialsForBuild(
  env: Environment,
  stack: Stack,
): Promise<{ readonly credentials?: CredentialsByRegistry }> {
  const named = await credentialsForStack(env, stack)
  const { knownRegistries, findCredentials } = await import('../registry/docker-config.ts')
  const others = await Promise.all(
    // A helper that fails for a registry that may not even be asked is no reason not to build.
    knownRegistries(env).map((name) => findCredentials(env, [name]).catch(() => ({}))),
  )
  const credentials = Object.assign({}, ...others, named.credentials) as CredentialsByRegistry
  return Object.keys(credentials).length === 0 ? {} : { credentials }
}
