/** Which service needs which: an acyclic graph over `depends_on` and what Compose infers from links and shared namespaces. */
import { Graph } from '@dagrejs/graphlib'
import { TsstackError } from '../errors.ts'
import type { DependencyCondition, Service, Stack } from '../spec/stack.ts'
import { compareText, ownValue } from './config-hash.ts'

/** One edge: what a service asks of another. */
export interface ServiceDependency {
  readonly service: string
  readonly condition: DependencyCondition
  readonly required: boolean
  /** Restarts with it. */
  readonly restart: boolean
  /** Lives in a namespace of it, so it can't outlive it. */
  readonly shares: boolean
}

export interface DependencyGraph {
  /** Every service after all that it depends on; ties in the order of names. */
  readonly order: readonly string[]
  /** What each service depends on, sorted by name. */
  readonly dependencies: ReadonlyMap<string, readonly ServiceDependency[]>
  /** The services that depend on each service, sorted by name. */
  readonly dependents: ReadonlyMap<string, readonly string[]>
}

// graphlib keeps its nodes in plain objects, where `constructor` and `__proto__` exist already.
const toNode = (service: string): string => `/${service}`
const toService = (node: string): string => node.slice(1)

type ServiceGraph = Graph<unknown, unknown, ServiceDependency>

/**
 * Builds the graph of a stack; time is linear in services and edges. A dependency that is not in the stack is dropped
 * when it is not required.
 * @throws {INVALID_ARGUMENT} on a cycle (named by its path, `a -> b -> a`), or when a required service is not in the stack
 */
export function dependencyGraph(stack: Stack): DependencyGraph {
  const graph: ServiceGraph = new Graph()
  const names = Object.keys(stack.services).sort(compareText)
  for (const name of names) graph.setNode(toNode(name))
  for (const name of names) {
    for (const dependency of dependenciesOf(stack, name)) {
      graph.setEdge(toNode(name), toNode(dependency.service), dependency)
    }
  }
  const dependencies = new Map<string, readonly ServiceDependency[]>()
  const dependents = new Map<string, string[]>(names.map((name) => [name, []]))
  for (const name of names) {
    const edges = (graph.outEdges(toNode(name)) ?? [])
      .map((edge) => graph.edge(edge))
      .sort((a, b) => compareText(a.service, b.service))
    dependencies.set(name, edges)
    for (const edge of edges) dependents.get(edge.service)?.push(name)
  }
  const successors = (name: string): string[] =>
    (graph.successors(toNode(name)) ?? []).map(toService).sort(compareText)
  return { order: topologicalOrder(names, successors), dependencies, dependents }
}

/**
 * The named services, with all that they depend on unless `noDeps`; all services when none is named. In dependency order.
 * @throws {NOT_FOUND} when a named service is not in the graph
 */
export function selectServices(
  graph: DependencyGraph,
  names: readonly string[] | undefined,
  options: { readonly noDeps?: boolean } = {},
): readonly string[] {
  if (!names || names.length === 0) return graph.order
  for (const name of names) assertKnown(graph, name)
  const selected = new Set(names)
  const queue = options.noDeps ? [] : [...selected]
  for (const name of queue) {
    for (const { service } of graph.dependencies.get(name) ?? []) {
      if (!selected.has(service)) queue.push(service)
      selected.add(service)
    }
  }
  return graph.order.filter((name) => selected.has(name))
}

function assertKnown(graph: DependencyGraph, name: string): void {
  if (graph.dependencies.has(name)) return
  const known = [...graph.dependencies.keys()].slice(0, 10).join(', ')
  throw new TsstackError('NOT_FOUND', `Cannot select service "${name}": not in the stack`, {
    hint: known === '' ? 'The stack has no service' : `The stack has ${known}`,
  })
}

/** The edges of one service: `depends_on` first, then what Compose infers where it says nothing (compose-go, normalize.go). */
function dependenciesOf(stack: Stack, name: string): Iterable<ServiceDependency> {
  const service = ownValue(stack.services, name) ?? {}
  const edges = new Map<string, ServiceDependency>()
  for (const [target, { condition, required, restart }] of Object.entries(
    service.depends_on ?? {},
  )) {
    edges.set(target, {
      service: target,
      condition,
      required,
      restart: restart ?? false,
      shares: false,
    })
  }
  for (const { service: target, restart, shares } of impliedDependencies(service)) {
    const declared = edges.get(target)
    edges.set(target, {
      service: target,
      condition: declared?.condition ?? 'service_started',
      required: shares || (declared?.required ?? true),
      restart: shares || (declared?.restart ?? restart),
      shares: shares || (declared?.shares ?? false),
    })
  }
  return [...edges.values()].filter((edge) => {
    if (Object.hasOwn(stack.services, edge.service)) return true
    if (!edge.required) return false
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot plan service "${name}": it depends on "${edge.service}", which is not in the stack`,
      { hint: `Define service "${edge.service}", or enable the profile that it belongs to` },
    )
  })
}

interface ImpliedDependency {
  readonly service: string
  readonly restart: boolean
  readonly shares: boolean
}

function* impliedDependencies(service: Service): Iterable<ImpliedDependency> {
  for (const mode of [
    service.network_mode,
    service.ipc,
    service.pid,
    service.uts,
    service.cgroup,
  ]) {
    if (mode?.startsWith('service:')) {
      yield { service: mode.slice('service:'.length), restart: true, shares: true }
    }
  }
  for (const link of service.links ?? []) {
    yield { service: link.split(':', 1)[0] ?? link, restart: true, shares: false }
  }
  for (const source of volumesFromServices(service)) {
    yield { service: source, restart: false, shares: false }
  }
}

/** The services that `volumes_from` names (`NAME[:ro]`; `container:NAME` is not one). */
export function volumesFromServices(service: Service): readonly string[] {
  return (service.volumes_from ?? [])
    .filter((source) => !source.startsWith('container:'))
    .map((source) => source.split(':', 1)[0] ?? source)
}

interface Visit {
  readonly name: string
  readonly successors: readonly string[]
  next: number
}

/**
 * Depth-first post-order with a stack of its own: graphlib's `topsort` recurses, so a long chain of services would end
 * in a RangeError, and its `findCycles` gives components, not paths.
 */
function topologicalOrder(
  names: readonly string[],
  successors: (name: string) => string[],
): string[] {
  const order: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const path: Visit[] = []
  const open = (name: string): void => {
    state.set(name, 'open')
    path.push({ name, successors: successors(name), next: 0 })
  }
  for (const root of names) {
    if (!state.has(root)) open(root)
    for (let visit = path.at(-1); visit; visit = path.at(-1)) {
      const successor = visit.successors[visit.next++]
      if (successor === undefined) {
        state.set(visit.name, 'done')
        order.push(visit.name)
        path.pop()
      } else if (state.get(successor) === 'open') {
        throw cycleError(path, successor)
      } else if (!state.has(successor)) {
        open(successor)
      }
    }
  }
  return order
}

function cycleError(path: readonly Visit[], repeated: string): TsstackError {
  const names = path.map(({ name }) => name)
  const cycle = [...names.slice(names.indexOf(repeated)), repeated]
  return new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot order services: dependency cycle ${cycle.join(' -> ')}`,
    { hint: 'Remove one of these from depends_on, links, volumes_from or a shared namespace' },
  )
}
