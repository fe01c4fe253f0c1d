import type { ContainerSummary } from '../api/types.ts'
import type { Client } from '../client/client.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import { TsstackError } from '../errors.ts'
import type { CommandContext } from './command.ts'
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

/** What the stack files say, without warnings; undefined where there is no stack file. */
export async function declaredStack(context: CommandContext): Promise<LoadedStack | undefined> {
  const [{ loadSources }, { toSourceOptions }] = await Promise.all([
    import('../sources/load-sources.ts'),
    import('./stack-source.ts'),
  ])
  try {
    return await loadSources(toSourceOptions(context))
  } catch (error) {
    if (error instanceof TsstackError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

/**
 * Whether the stack file decides what goes: with `-p NAME` alone the one that lies here by chance may be of another stack
 * (so Docker Compose has it).
 */
export function isFileMeant({ global, env }: CommandContext): boolean {
  return (
    global.projectName === undefined || global.files.length > 0 || env['COMPOSE_FILE'] !== undefined
  )
}

/** The stack that a command is about, and who knows its containers. */
export interface StackAtHand {
  readonly context: CommandContext
  readonly client: Client
  readonly stack: string
}

/**
 * The containers of a stack, by name; of these services only, when there are any. A service of the stack file that has no
 * container is none of them, and no error: scripts ask for what may not be there yet.
 * @throws {NOT_FOUND} for a service that neither the stack's containers nor the stack file have, if there is either
 */
export async function selectContainers(
  { context, client, stack }: StackAtHand,
  services: readonly string[],
  options: { readonly all?: boolean } = {},
): Promise<readonly ContainerSummary[]> {
  const everything = await client.containers({ stack, all: true })
  const present = [...new Set(everything.map((container) => container.service))]
  const absent = services.filter((service) => !present.includes(service))
  if (absent.length > 0) {
    const declared = await declaredStack(context)
    const known = [
      ...present,
      ...Object.keys(declared?.stack.services ?? {}),
      ...(declared?.disabledServices ?? []),
    ]
    if (declared !== undefined || present.length > 0) checkServices(absent, known)
  }
  return everything
    .filter((container) => services.length === 0 || services.includes(container.service))
    .filter((container) => options.all === true || isAlive(container))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * Of the services that the command line names those that have a container; undefined where it names none: then all are
 * meant.
 * @throws as selectContainers
 */
export async function servicesAtHand(hand: StackAtHand): Promise<readonly string[] | undefined> {
  const { positional } = hand.context
  if (positional.length === 0) return undefined
  const containers = await selectContainers(hand, positional, { all: true })
  return positional.filter((name) => containers.some(({ service }) => service === name))
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
  const meant = known.includes(service) ? '' : didYouMean(service, known)
  const hint =
    meant === ''
      ? `start it with "tsstack up -d ${service}" or "tsstack start ${service}"`
      : `no such service in stack "${stack}"${meant}`
  throw new TsstackError('NOT_FOUND', `service "${service}" is not running`, { hint })
}
