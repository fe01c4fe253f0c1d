/** What services depend on, and cycles among them. */
import type { Plain } from './model.ts'
import { mapIn } from './model.ts'

export interface ServiceDependency {
  readonly service: string
  readonly required: boolean
}

const MAX_CYCLES = 100

/** What a service says it depends on. */
export function dependenciesOf(service: Plain): ServiceDependency[] {
  return Object.entries(mapIn(service, 'depends_on')).map(([name, dependency]) => ({
    service: name,
    required: (dependency as Plain | null)?.['required'] !== false,
  }))
}

/**
 * The cycles of a graph, each as its path: `[a, b, a]`. One for each strand that closes, found in one walk over nodes and
 * edges; no paths are enumerated. After the first hundred no more are looked for.
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
  const path = [start]
  const onPath = new Set(path)
  // For each node of the path: its edges, and how many have been followed.
  const pending = [{ edges: graph.get(start) ?? [], next: 0 }]
  for (let top = pending.at(-1); top !== undefined; top = pending.at(-1)) {
    if (cycles.length >= MAX_CYCLES) return
    const target = top.edges[top.next++]
    if (target === undefined) {
      pending.pop()
      const left = path.pop() ?? ''
      onPath.delete(left)
      done.add(left)
    } else if (onPath.has(target)) {
      cycles.push([...path.slice(path.indexOf(target)), target])
    } else if (!done.has(target) && graph.has(target)) {
      path.push(target)
      onPath.add(target)
      pending.push({ edges: graph.get(target) ?? [], next: 0 })
    }
  }
}
