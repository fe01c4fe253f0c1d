/** What nobody serves for a while when a plan is carried out: from its stop to its new start. Pure. */
import type { Operation } from './plan.ts'
import type { RolloutPolicy } from './rollout-policy.ts'

/**
 * Names of containers, and of services that are rolled out, in the order of the plan. Not among them: what changes in
 * place, what starts its successor first or a part at a time, and what is only stopped, which is what was asked for.
 */
export function downtimeOf(operations: readonly Operation[]): readonly string[] {
  const stopped = new Set<string>()
  const names = new Set<string>()
  for (const operation of operations) {
    if (operation.kind === 'stop-container') stopped.add(operation.container)
    else if (operation.kind === 'start-container' && stopped.has(operation.container))
      names.add(operation.container)
    else if (operation.kind === 'roll-out-service') {
      const { service, replicas, policies } = operation
      if (stopsAll(policies.update, replicas.length)) names.add(service)
    }
  }
  return [...names]
}

function stopsAll({ order, parallelism }: RolloutPolicy, replicas: number): boolean {
  return order === 'stop-first' && (parallelism === 0 || parallelism >= replicas)
}
