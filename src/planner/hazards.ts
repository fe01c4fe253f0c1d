/** Marks what a plan can't take back, or what costs a service that keeps data its container. */
import type { ObservedContainer, ObservedState } from './observed-state.ts'
import type { Hazard, Operation, Plan } from './plan.ts'

/** The plan with `destructive` set on each operation that is. */
export function markHazards(plan: Plan, observed: ObservedState): Plan {
  const containers = new Map(observed.containers.map((container) => [container.id, container]))
  const created = new Set(
    plan.operations.flatMap((operation) =>
      operation.kind === 'create-container' ? [operation.container] : [],
    ),
  )
  const operations = plan.operations.map((operation) => {
    const destructive = hazardOf(operation, containers, created)
    return destructive === undefined ? operation : { ...operation, destructive }
  })
  return { ...plan, operations }
}

function hazardOf(
  operation: Operation,
  containers: ReadonlyMap<string, ObservedContainer>,
  created: ReadonlySet<string>,
): Hazard | undefined {
  if (operation.kind === 'remove-volume') return 'data-loss'
  if (operation.kind === 'roll-out-service') {
    const old = operation.replicas.flatMap(({ containerId }) => containers.get(containerId) ?? [])
    const stops = operation.policies.update.order === 'stop-first'
    return stops && old.some(hasVolumes) ? 'stateful-replacement' : undefined
  }
  if (operation.kind !== 'remove-container') return undefined
  const container = containers.get(operation.containerId)
  if (container === undefined || !hasVolumes(container)) return undefined
  if (operation.volumes === true) return 'data-loss'
  return created.has(operation.container) ? 'stateful-replacement' : undefined
}

/** Named or anonymous ones: what it wrote there outlives it. Its `fields` are canonical JSON. */
function hasVolumes({ fields, hasAnonymousVolumes = false }: ObservedContainer): boolean {
  return hasAnonymousVolumes || (fields['volumes'] ?? '').includes('"type":"volume"')
}
