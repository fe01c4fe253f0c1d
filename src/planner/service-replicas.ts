/** How many containers a service is to have, and what they are called. */
import { TsstackError } from '../errors.ts'
import type { Service, Stack } from '../spec/stack.ts'
import { ownValue } from './config-hash.ts'

/** More is taken for a mistake: a plan is a list of operations, and a host has so many processes. */
const MAX_REPLICAS = 1000

type Scale = Readonly<Record<string, number>> | undefined

/**
 * `--scale` before `scale` before `deploy.replicas` before 1.
 * @throws {INVALID_ARGUMENT} for what is no whole number from 0 to 1000, and above 1 for a service with a fixed name
 */
export function replicaCount(name: string, service: Service, scale: Scale): number {
  if (service.provider !== undefined && service.provider !== null) return 0
  if (service['x-tsstack']?.schedule !== undefined) return 0 // each run is a container of its own
  const count = ownValue(scale ?? {}, name) ?? service.scale ?? service.deploy?.replicas ?? 1
  if (!Number.isInteger(count) || count < 0 || count > MAX_REPLICAS) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot scale service "${name}" to ${count}: the number of replicas must be from 0 to ${MAX_REPLICAS}`,
    )
  }
  if (count > 1 && service.container_name !== undefined) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot scale service "${name}" to ${count}: its container_name "${service.container_name}" can be given once`,
      { hint: 'Remove container_name, or scale to 1' },
    )
  }
  return count
}

/** @throws {NOT_FOUND} when `--scale` names a service that is not in the stack */
export function assertScaleKnown(stack: Stack, scale: Scale): void {
  for (const name of Object.keys(scale ?? {})) {
    if (Object.hasOwn(stack.services, name)) continue
    throw new TsstackError('NOT_FOUND', `Cannot scale service "${name}": not in the stack`)
  }
}

/** `container_name`, or Compose's `<stack>-<service>-<number>`. */
export function containerName(
  stack: Stack,
  service: { readonly name: string; readonly definition: Service },
  number: number,
): string {
  return service.definition.container_name ?? `${stack.name}-${service.name}-${number}`
}
