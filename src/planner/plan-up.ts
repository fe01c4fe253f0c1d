/** `up`: from what is observed to what is desired. */
import { TsstackError } from '../errors.ts'
import type { Service, Stack } from '../spec/stack.ts'
import { compareText, ownValue } from './config-hash.ts'
import { startNodes, stopNodes, type NodesByService } from './container-operations.ts'
import {
  containersByService,
  removeSteps,
  type ContainerSteps,
  type StepsByService,
} from './container-steps.ts'
import { dependencyGraph, selectServices, volumesFromServices } from './dependency-graph.ts'
import type { DesiredState, UpOptions } from './desired-state.ts'
import { markHazards } from './hazards.ts'
import type { ObservedContainer, ObservedState } from './observed-state.ts'
import { buildPlan, type PlanNode } from './plan-builder.ts'
import type { Plan } from './plan.ts'
import { orderPortHandovers } from './port-handover.ts'
import { decideNetworks, networkNodes, volumeNodes } from './resource-operations.ts'
import { volumesOfReplicas } from './replica-identity.ts'
import { assertScaleKnown, replicaCount } from './service-replicas.ts'
import { rolloutWarnings } from './rollout-steps.ts'
import { serviceSteps } from './service-steps.ts'

/**
 * What has to be done so that the stack runs as desired. Empty when it does. Compose's rules, with these differences:
 * fields that a running container can change are updated in place; a one-shot that completed is not run again by an
 * `up` that neither names it nor starts anything that waits for it; a volume is never made anew.
 *
 * @throws {INVALID_ARGUMENT} dependency cycle, impossible number of replicas, contradicting options
 * @throws {NOT_FOUND} a service that is not in the stack
 * @throws {FAILED_PRECONDITION} a volume, network or container name that can't be changed or taken without loss
 */
export function planUp(desired: DesiredState, observed: ObservedState, options: UpOptions): Plan {
  const { stack } = desired
  assertConsistent(options)
  assertScaleKnown(stack, options.scale)
  const graph = dependencyGraph(stack)
  const scope = new Set(selectServices(graph, options.services, options))
  const networks = decideNetworks({ stack, scope }, observed, options)
  const countOf = (name: string): number =>
    replicaCount(name, ownValue(stack.services, name) ?? {}, options.scale)
  const volumes = volumeNodes({ stack, scope, countOf }, observed)
  const containers = containersByService(observed.containers)
  const orphans = findOrphans(desired, containers)
  const steps = new Map<string, readonly ContainerSteps[]>([
    ...serviceSteps({
      desired,
      options,
      graph,
      scope,
      containers,
      newNetworks: new Set([...networks.created, ...networks.replaced.keys()]),
    }),
    ...(options.removeOrphans ? orphanSteps(orphans) : []),
  ])
  assertNamesFree(steps, observed.containers)
  const nodes = stopNodes(steps, graph)
  const networkCreations = networkNodes(networks, observed, endingsById(nodes))
  const operations = startNodes({
    nodes,
    graph,
    scope,
    resources: (name) =>
      resourcesOf(stack, name, {
        networks: networkCreations,
        volumes: volumes.nodes,
        count: countOf(name),
      }),
    creationSources: (name) => creationSources(ownValue(stack.services, name) ?? {}),
    before: options.before,
  })
  orderPortHandovers(nodes, stack)
  const warnings = [
    ...networks.warnings,
    ...volumes.warnings,
    ...stateWarnings(steps, stack),
    ...rolloutWarnings(steps, stack.services),
    ...(options.removeOrphans || options.ignoreOrphans ? [] : orphanWarnings(orphans)),
  ]
  const all = [...networkCreations.values(), ...volumes.nodes.values(), ...operations]
  return markHazards(buildPlan(stack.name, all, warnings), observed)
}

function assertConsistent({ forceRecreate, alwaysRecreateDeps, noRecreate }: UpOptions): void {
  if (!noRecreate || (!forceRecreate && !alwaysRecreateDeps)) return
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot plan up: ${forceRecreate ? 'force-recreate' : 'always-recreate-deps'} and no-recreate exclude each other`,
  )
}

function findOrphans(
  { stack, disabledServices }: DesiredState,
  containers: ReadonlyMap<string, readonly ObservedContainer[]>,
): ReadonlyMap<string, readonly ObservedContainer[]> {
  const disabled = new Set(disabledServices)
  return new Map(
    [...containers]
      .filter(([name]) => !Object.hasOwn(stack.services, name) && !disabled.has(name))
      .sort(([a], [b]) => compareText(a, b)),
  )
}

function orphanSteps(
  orphans: ReadonlyMap<string, readonly ObservedContainer[]>,
): [string, ContainerSteps[]][] {
  return [...orphans].map(([name, containers]) => [
    name,
    containers.map((container) =>
      removeSteps(container, `service "${name}" is no longer in the stack`),
    ),
  ])
}

function orphanWarnings(
  orphans: ReadonlyMap<string, readonly ObservedContainer[]>,
): readonly string[] {
  const names = [...orphans.values()].flat().map(({ name }) => name)
  if (names.length === 0) return []
  return [
    `orphan containers of services that are not in the stack: ${names.join(', ')} (--remove-orphans removes them)`,
  ]
}

/** What stays as it is though it can't be as desired. */
function stateWarnings(steps: StepsByService, stack: Stack): readonly string[] {
  const warnings: string[] = []
  for (const [name, list] of steps) {
    const { provider } = ownValue(stack.services, name) ?? {}
    if (provider !== undefined && provider !== null) {
      warnings.push(`service "${name}" is left out: providers are not supported`)
    }
    for (const { container, stop, remove } of list) {
      if (!container || stop !== undefined || remove) continue
      if (container.state === 'paused') {
        warnings.push(`container "${container.name}" is paused and stays so: unpause continues it`)
      } else if (container.state === 'dead') {
        warnings.push(`container "${container.name}" is dead, but nothing is to be recreated`)
      }
    }
  }
  return warnings
}

/**
 * A new container's name must not be held by one that stays.
 * @throws {FAILED_PRECONDITION}
 */
function assertNamesFree(steps: StepsByService, containers: readonly ObservedContainer[]): void {
  const removed = new Set<string>()
  const creations: (ContainerSteps & { readonly create: NonNullable<ContainerSteps['create']> })[] =
    []
  for (const entry of [...steps.values()].flat()) {
    if (entry.remove && entry.container) removed.add(entry.container.id)
    if (entry.create) creations.push({ ...entry, create: entry.create })
  }
  const holders = new Map(
    containers.filter(({ id }) => !removed.has(id)).map((container) => [container.name, container]),
  )
  for (const { service, create } of creations) {
    const holder = holders.get(create.name)
    if (!holder) continue
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot create container "${create.name}" of service "${service}": a container of service "${holder.service}" has this name`,
      { hint: `Remove it first, or give the service another container_name` },
    )
  }
}

function endingsById(nodes: NodesByService): ReadonlyMap<string, PlanNode> {
  const endings = new Map<string, PlanNode>()
  for (const { steps, remove, stop } of [...nodes.values()].flat()) {
    const ending = remove ?? stop
    if (steps.container && ending) endings.set(steps.container.id, ending)
  }
  return endings
}

/** The creations of networks and volumes that a container of the service has to come after. */
function resourcesOf(
  stack: Stack,
  name: string,
  created: {
    readonly networks: ReadonlyMap<string, PlanNode>
    readonly volumes: ReadonlyMap<string, PlanNode>
    readonly count: number
  },
): readonly PlanNode[] {
  const service = ownValue(stack.services, name)
  if (!service) return []
  const networks = Object.keys(service.networks ?? {}).map((key) =>
    created.networks.get(ownValue(stack.networks, key)?.name ?? key),
  )
  const volumes = volumesOfReplicas(stack, service, created.count).map(({ key, definition }) =>
    created.volumes.get(definition?.name ?? key),
  )
  return [...networks, ...volumes].filter((node) => node !== undefined)
}

/** Services whose containers have to exist for a container of this one to be made. */
function creationSources(service: Service): readonly string[] {
  const modes = [service.network_mode, service.ipc, service.pid, service.uts, service.cgroup]
  const shared = modes.flatMap((mode) =>
    mode?.startsWith('service:') ? [mode.slice('service:'.length)] : [],
  )
  return [...new Set([...shared, ...volumesFromServices(service)])]
}
