import type { ContainerSummary } from '../api/types.ts'
import { TsstackError } from '../errors.ts'
import type { CommandContext } from './command.ts'
import { isAlive } from './select-containers.ts'
import { resolveStackName } from './stack-name.ts'

async function replicasOf(
  context: CommandContext,
  service: string,
  { oneOff = false } = {},
): Promise<readonly ContainerSummary[]> {
  let stack: string
  try {
    stack = await resolveStackName(context)
  } catch {
    return [] // no stack here: then it is a container's name
  }
  const client = await context.client()
  return (await client.containers({ stack, all: true }))
    .filter((container) => container.service === service && (oneOff || !container.oneoff))
    .toSorted((a, b) => a.number - b.number)
}

/**
 * What `SERVICE|CONTAINER` means: a replica of a service of the stack, running ones first; else a container by its name
 * or id.
 * @param index - of the replica; undefined or 0: the first
 * @throws {NOT_FOUND} there is none
 */
export async function findTarget(
  context: CommandContext,
  name: string,
  index?: number,
): Promise<ContainerSummary> {
  const replicas = await replicasOf(context, name)
  const found =
    index === undefined || index === 0
      ? (replicas.find(isAlive) ?? replicas[0])
      : replicas.find(({ number }) => number === index)
  if (found !== undefined) return found
  if (replicas.length > 0) {
    const state = `it has no container #${String(index)}`
    throw new TsstackError('NOT_FOUND', `Cannot find container of service "${name}": ${state}`)
  }
  return (await context.client()).container(name)
}

/**
 * All replicas of a service, or the container of that name.
 * @param options.oneOff - those of `run`, too
 * @throws {NOT_FOUND} there is none
 */
export async function findTargets(
  context: CommandContext,
  name: string,
  options: { readonly oneOff?: boolean } = {},
): Promise<readonly ContainerSummary[]> {
  const replicas = await replicasOf(context, name, options)
  return replicas.length > 0 ? replicas : [await (await context.client()).container(name)]
}
