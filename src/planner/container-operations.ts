/** Turns the steps of containers into operations, and orders them by what depends on what. */
import type { DependencyCondition } from '../spec/stack.ts'
import type { DependencyGraph, ServiceDependency } from './dependency-graph.ts'
import { remains, type ContainerSteps, type StepsByService } from './container-steps.ts'
import { planNode, type OperationContent, type PlanNode } from './plan-builder.ts'

/** The nodes of one container. */
export interface ContainerNodes {
  readonly steps: ContainerSteps
  readonly stop?: PlanNode
  readonly remove?: PlanNode
  create?: PlanNode
  update?: PlanNode
  start?: PlanNode
}

/** The nodes of each service's containers, in the order of its steps. */
export type NodesByService = ReadonlyMap<string, readonly ContainerNodes[]>

/**
 * Stops and removals. A container stops after the containers of the services that depend on it.
 * Services that the graph doesn't have (orphans) have no order.
 */
export function stopNodes(steps: StepsByService, graph: DependencyGraph): NodesByService {
  const nodes = new Map<string, readonly ContainerNodes[]>()
  for (const service of [...graph.order].reverse()) {
    const after = (graph.dependents.get(service) ?? []).flatMap((dependent) =>
      (nodes.get(dependent) ?? []).flatMap(({ stop }) => stop ?? []),
    )
    nodes.set(
      service,
      (steps.get(service) ?? []).map((container) => stopNodesOf(container, after)),
    )
  }
  for (const [service, containers] of steps) {
    if (!nodes.has(service)) {
      nodes.set(
        service,
        containers.map((container) => stopNodesOf(container, [])),
      )
    }
  }
  return nodes
}

function stopNodesOf(steps: ContainerSteps, after: readonly PlanNode[]): ContainerNodes {
  const { service, container, stop: stopCause, drainMs, remove: removal } = steps
  if (!container) return { steps }
  const target = { service, container: container.name, containerId: container.id }
  const stop =
    stopCause === undefined
      ? undefined
      : planNode(
          {
            kind: 'stop-container',
            ...target,
            ...(drainMs === undefined ? {} : { drainMs }),
            cause: stopCause,
          },
          after,
        )
  // Without a stop of its own, the removal is what ends it for its dependents.
  const remove = removal && planNode({ kind: 'remove-container', ...target, ...removal }, [stop])
  return { steps, ...(stop ? { stop } : {}), ...(remove ? { remove } : {}) }
}

export interface StartContext {
  readonly nodes: NodesByService
  readonly graph: DependencyGraph
  /** The services that the user means. For others nobody waits: only what the plan itself starts has its order. */
  readonly scope: ReadonlySet<string>
  /** What has to exist before a container of the service: its networks and volumes, as far as the plan makes them. */
  readonly resources: (service: string) => readonly PlanNode[]
  /** Services whose containers a container of the service refers to when it is created (`volumes_from`, shared namespaces). */
  readonly creationSources: (service: string) => readonly string[]
  /** A service that is not started here, but whose dependencies are waited for. */
  readonly before?: string | undefined
}

/**
 * Adds creations, updates and starts to the nodes, and answers with all nodes in the order in which they are told:
 * service by service, each after its dependencies.
 */
export function startNodes(context: StartContext): PlanNode[] {
  const { nodes, graph } = context
  const all: PlanNode[] = []
  const waits = new Map<string, PlanNode>()
  const removedNames = removalsByName(nodes)
  const services = [
    ...graph.order,
    ...[...nodes.keys()].filter((name) => !graph.dependencies.has(name)),
  ]
  for (const service of services) {
    const containers = nodes.get(service) ?? []
    const starts = containers.some(({ steps }) => (steps.start ?? steps.roll) !== undefined)
    const gates = starts ? gatesOf(service, context, waits) : []
    const resources = context.resources(service)
    const sources = context
      .creationSources(service)
      .flatMap((source) => (nodes.get(source) ?? []).flatMap(({ create }) => create ?? []))
    const leftovers = containers.flatMap(({ steps, remove }) =>
      steps.container?.part === undefined ? [] : (remove ?? []),
    )
    addRollout(service, containers, [...gates, ...resources, ...sources, ...leftovers])
    stopAfterRollouts(containers, gates)
    for (const container of containers) {
      const { create } = container.steps
      addCreate(container, [...resources, ...sources, create && removedNames.get(create.name)])
      addUpdate(container)
      addStart(container, [...gates, ...(create ? [] : resources)])
      all.push(...nodesOf(container))
    }
  }
  if (context.before !== undefined) all.push(...waitsBefore(context.before, context, waits))
  return all
}

function waitsBefore(
  service: string,
  context: StartContext,
  waits: Map<string, PlanNode>,
): readonly PlanNode[] {
  return gatesOf(service, context, waits).filter(
    ({ content }) => content.kind === 'wait-for-service',
  )
}

function addCreate(container: ContainerNodes, after: readonly (PlanNode | undefined)[]): void {
  const { service, create } = container.steps
  if (!create) return
  const { name, number, cause, changes, replaces } = create
  container.create = planNode(
    {
      kind: 'create-container',
      service,
      number,
      container: name,
      ...(replaces === undefined ? {} : { replaces }),
      changes,
      cause,
    },
    [container.remove, ...after],
  )
}

/** One operation for all containers of the service that roll: the start of each of them. */
function addRollout(
  service: string,
  containers: readonly ContainerNodes[],
  after: readonly PlanNode[],
): void {
  const rolling = containers.filter(({ steps }) => steps.roll)
  const steps = rolling.flatMap(({ steps: { roll } }) => roll ?? [])
  const [first] = steps
  if (!first) return
  const { cause, policies, changes } = first
  const replicas = steps.map(({ replica }) => replica)
  const node = planNode(
    { kind: 'roll-out-service', service, replicas, policies, changes, cause },
    after,
  )
  for (const container of rolling) container.start = node
}

/** A rollout takes its time: what starts again after it goes on until then. */
function stopAfterRollouts(
  containers: readonly ContainerNodes[],
  gates: readonly PlanNode[],
): void {
  const stops = containers.flatMap(({ steps, stop }) =>
    steps.start === undefined ? [] : (stop ?? []),
  )
  if (stops.length === 0) return
  const rollouts = gates
    .flatMap((gate) => [gate, ...gate.after])
    .filter(({ content }) => content.kind === 'roll-out-service')
  for (const stop of stops) for (const node of rollouts) stop.after.add(node)
}

function addUpdate(nodes: ContainerNodes): void {
  const { service, container, update } = nodes.steps
  if (!container || !update) return
  nodes.update = planNode(
    {
      kind: 'update-container',
      service,
      container: container.name,
      containerId: container.id,
      changes: update.changes,
      cause: update.cause,
    },
    [nodes.stop],
  )
}

function addStart(nodes: ContainerNodes, after: readonly PlanNode[]): void {
  const { service, container, create, start } = nodes.steps
  if (start === undefined) return
  const target = create
    ? { container: create.name }
    : container && { container: container.name, containerId: container.id }
  if (!target) return
  nodes.start = planNode({ kind: 'start-container', service, ...target, cause: start }, [
    nodes.create ?? nodes.stop,
    nodes.update,
    ...after,
  ])
}

/** What a start of the service comes after: starts of what it depends on, or waits for their condition. */
function gatesOf(service: string, context: StartContext, waits: Map<string, PlanNode>): PlanNode[] {
  const gates: PlanNode[] = []
  for (const dependency of context.graph.dependencies.get(service) ?? []) {
    const containers = (context.nodes.get(dependency.service) ?? []).filter(({ steps }) =>
      remains(steps),
    )
    // An update may be what makes the condition possible: a health check that is new.
    const starts = containers.flatMap(({ start, update }) => start ?? update ?? [])
    const fulfilled = containers.every(({ steps }) => isFulfilled(steps, dependency.condition))
    if (fulfilled) continue
    const isWaitedFor = context.scope.has(dependency.service)
    if (!isWaitedFor || (dependency.condition === 'service_started' && dependency.required))
      gates.push(...starts)
    else gates.push(waitNode(dependency, service, starts, waits))
  }
  return gates
}

/** Nothing will start it in this plan, and it is as the condition wants. */
function isFulfilled(steps: ContainerSteps, condition: DependencyCondition): boolean {
  const { container } = steps
  if (!container || steps.create || (steps.start ?? steps.roll) !== undefined) return false
  switch (condition) {
    case 'service_started':
      return true
    case 'service_healthy':
      return container.state === 'running' && container.health === 'healthy'
    case 'service_completed_successfully':
      return container.state === 'exited' && container.exitCode === 0
  }
}

const CONDITION_TEXT: Readonly<Record<DependencyCondition, string>> = {
  service_started: 'to be started',
  service_healthy: 'to be healthy',
  service_completed_successfully: 'to have completed',
}

/** One wait for each service, condition and strictness; its cause names the first service that asks for it. */
function waitNode(
  { service, condition, required }: ServiceDependency,
  dependent: string,
  starts: readonly PlanNode[],
  waits: Map<string, PlanNode>,
): PlanNode {
  const key = JSON.stringify([service, condition, required])
  const known = waits.get(key)
  if (known) return known
  const wish = required ? 'needs' : 'would like'
  const content: OperationContent = {
    kind: 'wait-for-service',
    service,
    condition,
    required,
    cause: `"${dependent}" ${wish} "${service}" ${CONDITION_TEXT[condition]}`,
  }
  const node = planNode(content, starts)
  waits.set(key, node)
  return node
}

/** Every node of a container, in the order in which they are done. */
export function nodesOf({ stop, remove, create, update, start }: ContainerNodes): PlanNode[] {
  return [stop, remove, create, update, start].filter((node) => node !== undefined)
}

/** A name is free for a new container only when the container that has it is gone. */
function removalsByName(nodes: NodesByService): ReadonlyMap<string, PlanNode> {
  const removals = new Map<string, PlanNode>()
  for (const containers of nodes.values()) {
    for (const { steps, remove } of containers) {
      if (steps.container && remove) removals.set(steps.container.name, remove)
    }
  }
  return removals
}
