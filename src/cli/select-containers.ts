import type { ContainerSummary } from '../api/types.ts'
import type { Client } from '../client/client.ts'
import { TsstackError } from '../errors.ts'
import { didYouMean } from './did-you-mean.ts'

/** @throws {NOT_FOUND} for a name that is none of the known services, with the nearest one */
export function checkServices(wanted: readonly string[], known: readonly string[]): void {
  for (const service of wanted) {
    if (!known.includes(service)) {
      throw new TsstackError(
        'NOT_FOUND',
        `no such service: ${service}${didYouMean(service, known)}`,
      )
    }
  }
}

/**
 * The containers of a stack, by name; of these services only, when there are any.
 * @throws {NOT_FOUND} for a service without a container, unless others of the stack's containers are of that service
 */
export async function selectContainers(
  client: Client,
  stack: string,
  services: readonly string[],
  options: { readonly all?: boolean } = {},
): Promise<readonly ContainerSummary[]> {
  const everything = await client.containers({ stack, all: true })
  checkServices(services, [...new Set(everything.map((container) => container.service))])
  return everything
    .filter((container) => services.length === 0 || services.includes(container.service))
    .filter((container) => options.all === true || isAlive(container))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** Whether it has a process. */
export function isAlive(container: ContainerSummary): boolean {
  return (
    container.state === 'running' ||
    container.state === 'paused' ||
    container.state === 'restarting'
  )
}

/**
 * One container of a service, whatever its state.
 * @throws {NOT_FOUND} when the service has no such replica
 */
export function replicaOf(
  containers: readonly ContainerSummary[],
  selection: { readonly service: string; readonly index: number },
): ContainerSummary {
  const { service, index } = selection
  const found = containers.find(
    (container) => container.service === service && container.number === index && !container.oneoff,
  )
  if (found !== undefined) return found
  throw new TsstackError('NOT_FOUND', `service "${service}" has no container #${String(index)}`)
}

/**
 * One running container of a service: replica `index`, or the first.
 * @throws {NOT_FOUND} as Docker Compose does: `service "web" is not running`
 */
export async function oneContainer(
  client: Client,
  stack: string,
  selection: { readonly service: string; readonly index: number | undefined },
): Promise<ContainerSummary> {
  const { service, index } = selection
  const everything = await client.containers({ stack, all: true })
  const running = everything
    .filter((container) => container.service === service && !container.oneoff && isAlive(container))
    .toSorted((a, b) => a.number - b.number)
  const found =
    index === undefined || index === 0
      ? running[0]
      : running.find((container) => container.number === index)
  if (found !== undefined) return found
  if (running.length > 0)
    throw new TsstackError(
      'NOT_FOUND',
      `service "${service}" has no running container #${String(index)}`,
    )
  const known = [...new Set(everything.map((container) => container.service))]
  const hint = known.includes(service)
    ? 'start it with "tsstack up" or "tsstack start"'
    : `no such service in stack "${stack}"${didYouMean(service, known)}`
  throw new TsstackError('NOT_FOUND', `service "${service}" is not running`, { hint })
}
