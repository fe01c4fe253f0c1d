import { TsstackError } from '../errors.ts'
import type { Service, Stack } from '../spec/stack.ts'
import { dependencyGraph, type DependencyGraph } from './dependency-graph.ts'
import type { ObservedState } from './observed-state.ts'

/**
 * The order for taking things down: the stack's graph, or what the containers record when there is no stack or its graph
 * can't be built. When that has a cycle too there is no order: what is to go must go.
 */
export function observedGraph(observed: ObservedState, stack: Stack | undefined): DependencyGraph {
  const recorded = recordedStack(observed)
  for (const candidate of stack ? [stack, recorded] : [recorded]) {
    try {
      return dependencyGraph(candidate)
    } catch (error) {
      if (!(error instanceof TsstackError)) throw error
    }
  }
  return { order: [], dependencies: new Map(), dependents: new Map() }
}

/** A stack with nothing but the dependencies that containers record. */
function recordedStack({ stack, containers }: ObservedState): Stack {
  const services = new Map<string, Service>()
  const present = new Set(containers.map(({ service }) => service))
  for (const { service, dependsOn = [] } of containers) {
    const names = dependsOn.filter((name) => present.has(name) && name !== service)
    const merged = { ...services.get(service)?.depends_on }
    for (const name of names) merged[name] = { condition: 'service_started', required: false }
    services.set(service, { depends_on: merged })
  }
  return {
    name: stack,
    services: Object.fromEntries(services),
    networks: {},
    volumes: {},
    configs: {},
    secrets: {},
  }
}
