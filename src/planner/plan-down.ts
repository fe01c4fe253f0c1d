/** `down`: everything goes, dependents first, then networks, then (when asked) volumes. */
import { TsstackError } from '../errors.ts'
import type { Stack } from '../spec/stack.ts'
import { compareText, ownValue } from './config-hash.ts'
import { stopNodes, nodesOf } from './container-operations.ts'
import { compareContainers, removeSteps, type ContainerSteps } from './container-steps.ts'
import type { DownOptions } from './desired-state.ts'
import type { ObservedContainer, ObservedState } from './observed-state.ts'
import { markHazards } from './hazards.ts'
import { observedGraph } from './observed-graph.ts'
import { buildPlan, planNode, type PlanNode } from './plan-builder.ts'
import type { Plan } from './plan.ts'
import { volumeKeys } from './resource-operations.ts'

const CAUSE = 'stack goes down'

/**
 * Removes what is observed. Never fails for what the stack file says: without one, or with one that has a cycle, it works
 * from what the containers record. One-off containers of a service go with it. With a stack, containers of services that
 * it does not have stay unless `removeOrphans`, and with them their networks. With `services`, only those services' containers
 * go, and the networks and volumes that nothing else uses. External networks and volumes are never touched.
 * @throws {NOT_FOUND} when a named service is neither in the stack nor observed
 */
export function planDown(
  observed: ObservedState,
  stack: Stack | undefined,
  options: DownOptions,
): Plan {
  const selected = new Set(options.services)
  assertKnown(selected, observed, stack)
  const isSelected = ({ service }: ObservedContainer): boolean =>
    selected.size > 0
      ? selected.has(service)
      : !stack || options.removeOrphans === true || Object.hasOwn(stack.services, service)
  const containers = [...observed.containers].sort(compareContainers)
  const going = containers.filter(isSelected)
  const staying = containers.filter((container) => !isSelected(container))

  const steps = new Map<string, ContainerSteps[]>()
  for (const container of going) {
    const list = steps.get(container.service) ?? []
    list.push(removeSteps(container, CAUSE, { volumes: options.volumes ?? false }))
    steps.set(container.service, list)
  }
  const graph = observedGraph(observed, stack)
  const nodes = stopNodes(steps, graph)
  const order = [...graph.order].reverse()
  const known = new Set(order)
  const services = [
    ...order,
    ...[...steps.keys()].filter((name) => !known.has(name)).sort(compareText),
  ]
  const containerNodes = services.flatMap((name) => (nodes.get(name) ?? []).flatMap(nodesOf))
  const removals = new Map<string, PlanNode>()
  for (const { steps: entry, remove } of [...nodes.values()].flat()) {
    if (entry.container && remove) removals.set(entry.container.id, remove)
  }
  const context = { observed, stack, options, going, staying, removals }
  const networks = networkRemovals(context)
  const volumes = options.volumes ? volumeRemovals(context) : []
  const warnings = selected.size > 0 ? [] : orphanWarnings(staying)
  const all = [...containerNodes, ...networks, ...volumes]
  return markHazards(buildPlan(observed.stack, all, warnings), observed)
}

function assertKnown(
  services: ReadonlySet<string>,
  observed: ObservedState,
  stack: Stack | undefined,
): void {
  const present = new Set(observed.containers.map(({ service }) => service))
  for (const name of services) {
    if (present.has(name) || Object.hasOwn(stack?.services ?? {}, name)) continue
    throw new TsstackError('NOT_FOUND', `Cannot take down service "${name}": not in the stack`)
  }
}

interface DownContext {
  readonly observed: ObservedState
  readonly stack: Stack | undefined
  readonly options: DownOptions
  readonly going: readonly ObservedContainer[]
  readonly staying: readonly ObservedContainer[]
  readonly removals: ReadonlyMap<string, PlanNode>
}

function networkRemovals(context: DownContext): PlanNode[] {
  const { observed, stack, options, going, staying, removals } = context
  const isPartial = Boolean(options.services?.length)
  const external = externalNames(stack?.networks)
  return observed.networks
    .filter(({ name, key }) => key !== undefined && !external.has(name))
    .filter(({ name }) => !staying.some(({ networks }) => networks.includes(name)))
    .filter(({ name }) => !isPartial || going.some(({ networks }) => networks.includes(name)))
    .sort((a, b) => compareText(a.name, b.name))
    .map(({ name }) =>
      planNode(
        { kind: 'remove-network', network: name, cause: CAUSE },
        going.filter(({ networks }) => networks.includes(name)).map(({ id }) => removals.get(id)),
      ),
    )
}

/** Volumes go after all containers that go: which of them mounts which is not observed. */
function volumeRemovals(context: DownContext): PlanNode[] {
  const { observed, stack, going, removals } = context
  const external = externalNames(stack?.volumes)
  const after = going.map(({ id }) => removals.get(id))
  const isFree = freeVolumes(context)
  const isWhole = !context.options.services?.length
  return observed.volumes
    .filter(({ name }) => !external.has(name))
    .filter(({ key }) => (key === undefined ? isWhole : isFree(key)))
    .sort((a, b) => compareText(a.name, b.name))
    .map(({ name }) => planNode({ kind: 'remove-volume', volume: name, cause: CAUSE }, after))
}

/** Which volumes nothing that stays may use. Without the stack's word, none of a stack that goes only in part. */
function freeVolumes({ stack, options, staying }: DownContext): (key: string) => boolean {
  const selected = new Set(options.services)
  if (selected.size === 0) {
    const used = new Set(staying.flatMap(({ fields }) => mountedNames(fields)))
    return (key) => !used.has(ownValue(stack?.volumes ?? {}, key)?.name ?? key)
  }
  const used = new Set<string>()
  const own = new Set<string>()
  for (const [name, service] of Object.entries(stack?.services ?? {})) {
    for (const key of volumeKeys(service)) (selected.has(name) ? own : used).add(key)
  }
  return (key) => own.has(key) && !used.has(key)
}

function mountedNames(fields: Readonly<Record<string, string>>): readonly string[] {
  const text = ownValue(fields, 'volumes') ?? ''
  return [...text.matchAll(/"source":"([^"]*)"/g)].map(([, name]) => name ?? '')
}

function externalNames(
  definitions: Readonly<
    Record<string, { readonly name: string; readonly external?: boolean }>
  > = {},
): ReadonlySet<string> {
  return new Set(
    Object.values(definitions)
      .filter(({ external }) => external)
      .map(({ name }) => name),
  )
}

function orphanWarnings(staying: readonly ObservedContainer[]): readonly string[] {
  if (staying.length === 0) return []
  const names = staying.map(({ name }) => name).join(', ')
  return [`orphan containers stay, with their networks: ${names} (--remove-orphans removes them)`]
}
