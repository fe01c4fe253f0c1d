/** Networks as things of their own: listed, looked at, made without a stack, removed when nothing is on them. */
import type { NetworkDetail, NetworkRequest, NetworkSummary, PruneResult } from '../api/types.ts'
import type { NetworkDefinition } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import type { ContainerRecord, NetworkDocument } from './records.ts'
import type { PruneFilter } from './prune-filter.ts'

/** By name; of one stack, when there is one. */
export function listNetworks(context: Context, stack: string | undefined): NetworkSummary[] {
  return context.networks
    .documents()
    .filter((document) => stack === undefined || document.stack === stack)
    .map(summaryOf)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function summaryOf(document: NetworkDocument): NetworkSummary {
  const { name, stack, bridge, subnets, internal, macvlan } = document
  return {
    name,
    ...(stack === undefined ? {} : { stack }),
    driver: macvlan === undefined ? 'bridge' : 'macvlan',
    bridge: macvlan === undefined ? bridge : '',
    subnets: subnets.map(({ subnet }) => subnet),
    internal,
  }
}

/** @throws {NOT_FOUND} */
export function inspectNetwork(context: Context, name: string): NetworkDetail {
  const document = requireNetwork(context, name, 'show')
  const { subnets, macvlan, mtu, labels, createdAt } = document
  return {
    ...summaryOf(document),
    gateways: subnets.map(({ gateway }) => gateway),
    ...(macvlan === undefined ? {} : { parent: macvlan.parent }),
    ...(mtu === undefined ? {} : { mtu }),
    labels,
    ...(createdAt === undefined ? {} : { createdAt }),
    containers: usersOfNetwork(context, name).flatMap(({ id, config }) =>
      context.networks
        .leasesOf(id)
        .filter(({ network }) => network === name)
        .map(({ ipv4, ipv6, mac }) => ({
          id,
          name: config.name,
          ...(ipv4 === undefined ? {} : { ipv4 }),
          ...(ipv6 === undefined ? {} : { ipv6 }),
          mac,
        })),
    ),
  }
}

/** @throws {ALREADY_EXISTS} */
export async function createNetwork(context: Context, request: NetworkRequest): Promise<void> {
  const { name, driver, subnets, internal, ipv6, options, labels } = request
  const definition: NetworkDefinition = {
    name,
    ...(driver === undefined ? {} : { driver }),
    ...(options === undefined ? {} : { driver_opts: options }),
    ...(labels === undefined ? {} : { labels }),
    ...(internal === undefined ? {} : { internal }),
    ...(ipv6 === undefined ? {} : { enable_ipv6: ipv6 }),
    ipam: {
      config: (subnets ?? []).map(({ subnet, ipRange, gateway }) => ({
        subnet,
        ...(ipRange === undefined ? {} : { ip_range: ipRange }),
        ...(gateway === undefined ? {} : { gateway }),
      })),
    },
  }
  await context.networks.createAlone(definition)
}

/** @throws {NOT_FOUND}, {FAILED_PRECONDITION} naming the containers that are on it */
export async function removeNetwork(context: Context, name: string): Promise<void> {
  const { stack } = requireNetwork(context, name, 'remove')
  await context.locks.run(`stack ${stack ?? ''}`, () => {
    const users = usersOfNetwork(context, name)
    if (users.length > 0) throw inUse('network', name, users)
    context.networks.remove(name)
    return Promise.resolve()
  })
}

/** Removes every network that no container is on, running or not. */
export async function pruneNetworks(
  context: Context,
  matches: PruneFilter = () => true,
): Promise<PruneResult> {
  const removed: string[] = []
  for (const network of context.networks.documents()) {
    const { name } = network
    if (usersOfNetwork(context, name).length > 0 || !matches(network)) continue
    await removeNetwork(context, name)
    removed.push(name)
  }
  return { removed: removed.sort(), reclaimedBytes: 0 }
}

/** Containers that are on a network when they run. */
export function usersOfNetwork(
  context: Pick<Context, 'containers'>,
  name: string,
): ContainerRecord[] {
  return context.containers
    .values()
    .filter(({ config }) => config.endpoints.some(({ network }) => network === name))
}

function requireNetwork(context: Context, name: string, verb: string): NetworkDocument {
  const document = context.networks.documents().find((candidate) => candidate.name === name)
  if (document !== undefined) return document
  throw new TsstackError('NOT_FOUND', `Cannot ${verb} network "${name}": there is none`, {
    hint: '"tsstack network ls" lists them',
  })
}

/** What keeps a network or volume. */
export function inUse(
  kind: 'network' | 'volume',
  name: string,
  users: readonly ContainerRecord[],
): TsstackError {
  const names = users.map(({ config }) => config.name).sort()
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot remove ${kind} "${name}": used by ${names.join(', ')}`,
    { hint: 'Remove the containers first: tsstack down, or tsstack rm' },
  )
}
