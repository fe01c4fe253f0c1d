/** `start`, `stop` and `restart` of containers that exist: nothing is made, changed or removed. */
import { TsstackError } from '../errors.ts'
import type { Stack } from '../spec/stack.ts'
import { compareText, ownValue } from './config-hash.ts'
import { startNodes, stopNodes } from './container-operations.ts'
import {
  containersByService,
  isLive,
  restartSteps,
  type ContainerSteps,
} from './container-steps.ts'
import { selectServices, type DependencyGraph } from './dependency-graph.ts'
import type { LifecycleOptions } from './desired-state.ts'
import { observedGraph } from './observed-graph.ts'
import type { ObservedContainer, ObservedState } from './observed-state.ts'
import { buildPlan } from './plan-builder.ts'
import type { Plan } from './plan.ts'

/** Those of the lifecycle actions that have an order; kill, pause and unpause have none. */
export type PlannedAction = 'start' | 'stop' | 'restart'

export interface LifecycleTarget {
  readonly observed: ObservedState
  /** For the order and the conditions of `depends_on`; without it, what the containers record. */
  readonly stack: Stack | undefined
}

/**
 * As Compose has them: `start` also starts what the named services depend on, and waits for its conditions; `stop` stops
 * only the named ones, dependents first; `restart` also restarts services that ask to restart with a named one
 * (`depends_on.restart`, shared namespaces), and starts containers that have ended.
 * @throws {NOT_FOUND} when a named service does not exist, or has no container to start
 */
export function planLifecycle(
  action: PlannedAction,
  { observed, stack }: LifecycleTarget,
  options: LifecycleOptions,
): Plan {
  const graph = observedGraph(observed, stack)
  const containers = containersByService(observed.containers)
  assertExisting(action, { graph, containers, stack }, options)
  const selected = selectFor(action, { graph, containers }, options)
  const steps = new Map<string, readonly ContainerSteps[]>()
  for (const name of selected) {
    const list = containers.get(name) ?? []
    steps.set(
      name,
      list.map((container) => stepsFor(action, container)),
    )
  }
  const nodes = stopNodes(steps, graph)
  const operations = startNodes({
    nodes,
    graph,
    scope: new Set(selected),
    resources: () => [],
    creationSources: () => [],
  })
  const ordered = action === 'stop' ? operations.reverse() : operations
  return buildPlan(observed.stack, ordered, [])
}

function stepsFor(action: PlannedAction, container: ObservedContainer): ContainerSteps {
  const cause = `${action} was asked for`
  const kept: ContainerSteps = { service: container.service, container }
  // What a rollout has left is nobody's to start; the next `up` removes it.
  if (container.part !== undefined && action !== 'stop') return kept
  switch (action) {
    case 'start':
      return container.state === 'created' || container.state === 'exited'
        ? { ...kept, start: cause }
        : kept
    case 'stop':
      return isLive(container) ? { ...kept, stop: cause } : kept
    case 'restart':
      return container.state === 'dead' ? kept : restartSteps(container, cause)
  }
}

interface Known {
  readonly graph: DependencyGraph
  readonly containers: ReadonlyMap<string, readonly ObservedContainer[]>
}

function selectFor(
  action: PlannedAction,
  { graph, containers }: Known,
  { services = [], noDeps = false }: LifecycleOptions,
): readonly string[] {
  if (services.length === 0) {
    const others = [...containers.keys()].filter((name) => !graph.dependencies.has(name))
    return [...graph.order, ...others.sort(compareText)]
  }
  const known = services.filter((name) => graph.dependencies.has(name))
  const others = services.filter((name) => !graph.dependencies.has(name))
  if (action === 'restart' && !noDeps) return [...withRestartingDependents(graph, known), ...others]
  const ordered =
    known.length === 0 ? [] : selectServices(graph, known, { noDeps: noDeps || action !== 'start' })
  return [...ordered, ...others]
}

function withRestartingDependents(graph: DependencyGraph, names: readonly string[]): string[] {
  const selected = new Set(names)
  return graph.order.filter((name) => {
    const follows = (graph.dependencies.get(name) ?? []).some(
      ({ service, restart, shares }) => (restart || shares) && selected.has(service),
    )
    if (follows) selected.add(name)
    return selected.has(name)
  })
}

function assertExisting(
  action: PlannedAction,
  { graph, containers, stack }: Known & { readonly stack: Stack | undefined },
  { services = [] }: LifecycleOptions,
): void {
  for (const name of services) {
    if (containers.has(name)) continue
    if (!graph.dependencies.has(name)) {
      throw new TsstackError('NOT_FOUND', `Cannot ${action} service "${name}": not in the stack`)
    }
    const { scale, deploy } = ownValue(stack?.services ?? {}, name) ?? {}
    if (action === 'stop' || (scale ?? deploy?.replicas) === 0) continue
    throw new TsstackError('NOT_FOUND', `Cannot ${action} service "${name}": it has no container`, {
      hint: `Make one: up ${name}`,
    })
  }
}
