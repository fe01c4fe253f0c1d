/** Collects operations as a graph and numbers them at the end, so that they can be added in any order. */
import type { Operation, OperationId, Plan } from './plan.ts'

/** An operation without its id and without the ids it depends on. */
export type OperationContent = Operation extends infer O
  ? O extends Operation
    ? Omit<O, 'id' | 'dependsOn'>
    : never
  : never

/** A place in the graph. `after` may grow until the plan is built. */
export interface PlanNode {
  readonly content: OperationContent
  readonly after: Set<PlanNode>
}

/** Makes a node that runs after the given ones; undefined entries are skipped. */
export function planNode(
  content: OperationContent,
  after: Iterable<PlanNode | undefined> = [],
): PlanNode {
  const nodes = new Set<PlanNode>()
  for (const node of after) if (node) nodes.add(node)
  return { content, after: nodes }
}

interface Visit {
  readonly node: PlanNode
  readonly after: readonly PlanNode[]
  next: number
}

/**
 * Numbers the nodes and everything they come after: each operation after its dependencies, otherwise in the given
 * order. Linear in nodes and edges. The graph has to be acyclic: it is, since stops only come after stops, and starts
 * follow the dependency graph.
 */
export function buildPlan(
  stack: string,
  nodes: readonly PlanNode[],
  warnings: readonly string[],
): Plan {
  const ids = new Map<PlanNode, OperationId>()
  const operations: Operation[] = []
  const seen = new Set<PlanNode>()
  const path: Visit[] = []
  const open = (node: PlanNode): void => {
    seen.add(node)
    path.push({ node, after: [...node.after], next: 0 })
  }
  for (const root of nodes) {
    if (!seen.has(root)) open(root)
    for (let visit = path.at(-1); visit; visit = path.at(-1)) {
      const next = visit.after[visit.next++]
      if (next && !seen.has(next)) open(next)
      if (next) continue
      path.pop()
      const id = operations.length + 1
      ids.set(visit.node, id)
      operations.push({ id, dependsOn: sortedIds(visit.after, ids), ...visit.node.content })
    }
  }
  return { stack, operations, warnings }
}

function sortedIds(
  nodes: readonly PlanNode[],
  ids: ReadonlyMap<PlanNode, OperationId>,
): OperationId[] {
  return nodes.flatMap((node) => ids.get(node) ?? []).sort((a, b) => a - b)
}
