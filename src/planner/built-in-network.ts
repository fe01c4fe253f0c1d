/** Networks that are no network but a mode of the container: its host's, or none. */
import { TsstackError } from '../errors.ts'
import type { NetworkDefinition, Service, Stack } from '../spec/stack.ts'
import { ownValue } from './config-hash.ts'

export type BuiltInNetwork = 'host' | 'none'

/** `external: true` with `name: host`, as Docker has a network of that name; or `driver: host`. */
export function builtInNetwork(definition: NetworkDefinition): BuiltInNetwork | undefined {
  const word = definition.external ? definition.name : definition.driver
  return word === 'host' || word === 'none' ? word : undefined
}

/**
 * What a service's `networks` come to, where they are no network.
 * @throws {INVALID_ARGUMENT} when it has another network beside
 */
export function builtInNetworkOf(
  name: string,
  service: Service,
  stack: Stack,
): BuiltInNetwork | undefined {
  const keys = Object.keys(service.networks ?? {})
  const modes = keys.flatMap((key) => {
    const definition = ownValue(stack.networks, key)
    return (definition && builtInNetwork(definition)) ?? []
  })
  const [mode] = modes
  if (mode === undefined || keys.length === 1) return mode
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot connect service "${name}" to network "${mode}": it has other networks beside`,
    { hint: `Leave it "${mode}" alone, or remove that` },
  )
}
