/** What each replica of a service has of its own (`x-tsstack.replica`): a host name, variables, volumes. */
import { fillReplicaText } from '../spec/replica-text.ts'
import type { NetworkAttachment, Service, Stack, VolumeDefinition } from '../spec/stack.ts'
import { ownValue } from './config-hash.ts'

export interface StackVolume {
  readonly key: string
  readonly definition: VolumeDefinition
}

/** The service as one replica has it: texts filled in, its own volumes in place of those that have its number. */
export function serviceOfReplica(
  service: Service,
  { stack, serviceName, number }: { stack: Stack; serviceName: string; number: number },
): Service {
  const replica = service['x-tsstack']?.replica
  if (replica === undefined) return service
  const fields = { Replica: number, Service: serviceName, Stack: stack.name }
  const filled = (text: string | number): string => fillReplicaText(String(text), fields)
  const hostname = replica.hostname === undefined ? undefined : filled(replica.hostname)
  const variables = Object.entries(replica.environment ?? {})
  return {
    ...service,
    ...(hostname === undefined ? {} : { hostname, networks: answering(service, hostname) }),
    environment: {
      ...service.environment,
      ...Object.fromEntries(variables.map(([name, text]) => [name, filled(text)])),
    },
    volumes: (service.volumes ?? []).map((mount) => {
      const { type, source } = mount
      if (type !== 'volume' || source === undefined || !hasOwn(service, source)) return mount
      const name = ownValue(stack.volumes, source)?.name ?? source
      return { ...mount, source: nameOfReplica(name, number) }
    }),
  }
}

/** Other containers find the replica by its host name. */
function answering(
  { networks = {} }: Service,
  hostname: string,
): Record<string, NetworkAttachment | null> {
  return Object.fromEntries(
    Object.entries(networks).map(([key, attachment]) => [
      key,
      { ...attachment, aliases: [...(attachment?.aliases ?? []), hostname] },
    ]),
  )
}

/**
 * The volumes that replicas 1 to `count` of a service mount.
 * @returns the key alone where the stack does not define it
 */
export function volumesOfReplicas(
  stack: Stack,
  service: Service,
  count: number,
): readonly (StackVolume | { readonly key: string; readonly definition?: undefined })[] {
  return (service.volumes ?? []).flatMap(({ type, source: key }) => {
    if (type !== 'volume' || key === undefined) return []
    const definition = ownValue(stack.volumes, key)
    if (definition === undefined || !hasOwn(service, key)) return [{ key, definition }]
    return Array.from({ length: count }, (_, index) => ({
      key,
      definition: { ...definition, name: nameOfReplica(definition.name, index + 1) },
    }))
  })
}

/** The volume of the stack that has this name, or of which a replica has one of this name. */
export function volumeNamed(stack: Stack, name: string): StackVolume | undefined {
  const base = name.replace(/-\d+$/, '')
  for (const [key, definition] of Object.entries(stack.volumes)) {
    if (definition.name === name) return { key, definition }
    const isOfReplica = Object.values(stack.services).some((service) => hasOwn(service, key))
    if (definition.name === base && isOfReplica) return { key, definition: { ...definition, name } }
  }
  return undefined
}

function hasOwn(service: Service, key: string): boolean {
  return service['x-tsstack']?.replica?.volumes?.includes(key) ?? false
}

function nameOfReplica(volume: string, number: number): string {
  return `${volume}-${String(number)}`
}
