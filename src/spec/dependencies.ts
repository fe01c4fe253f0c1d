/** What services depend on, and cycles among them. */
import type { Plain } from './model.ts'
import { mapIn } from './model.ts'

export interface ServiceDependency {
  readonly service: string
  readonly required: boolean
}

/** What a service says it depends on. */
export function dependenciesOf(service: Plain): ServiceDependency[] {
  return Object.entries(mapIn(service, 'depends_on')).map(([name, dependency]) => ({
    service: name,
    required: (dependency as Plain | null)?.['required'] !== false,
  }))
}

/**
 * The cycles of a graph, each as its path: `[a, b, a]`. One for each strand that closes, found in one walk over nodes and
 * edges; no paths are enumerated.
 */
export function findCycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = []
  const done = new Set<string>()
  for (const start of graph.keys()) if (!done.has(start)) walk(start, { graph, done, cycles })
  return cycles
}

interface Walk {
  readonly graph: ReadonlyMap<string, readonly string[]>
  readonly done: Set<string>
  readonly cycles: string[][]
}

function walk(start: string, { graph, done, cycles }: Walk): void {
  const path: string[] = [start]
  const onPath = new Set(path)
  const pending: Iterator<string>[] = [(graph.get(start) ?? []).values()]
  for (let edges = pending.at(-1); edges !== undefined; edges = pending.at(-1)) {
    const { value: next, done: isLast } = edges.next()
    if (isLast === true) {
      pending.pop()
      const left = path.pop() ?? ''
      onPath.delete(left)
      done.add(left)
    } else if (onPath.has(next)) {
      cycles.push([...path.slice(path.indexOf(next)), next])
    } else if (!done.has(next) && graph.has(next)) {
      path.push(next)
      onPath.add(next)
      pending.push((graph.get(next) ?? []).values())
    }
  }
}
