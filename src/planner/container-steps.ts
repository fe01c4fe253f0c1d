/** What is to be done with one container, before it becomes operations. */
import type { FieldChange, RolledReplica } from './plan.ts'
import type { ObservedContainer } from './observed-state.ts'
import type { RolloutPolicies } from './rollout-policy.ts'

/**
 * Steps for one container, each present only when it is to be done, in this order: stop, remove, create, update, start.
 * Text values are causes. None present: the container is left as it is.
 */
export interface ContainerSteps {
  readonly service: string
  /** The existing container; absent for a new replica. */
  readonly container?: ObservedContainer
  readonly stop?: string
  /** Of the stop: for how long connections may go on before it, because others serve in its place. */
  readonly drainMs?: number
  readonly remove?: { readonly cause: string; readonly volumes?: true }
  readonly create?: {
    readonly cause: string
    readonly number: number
    readonly name: string
    readonly replaces?: string
    readonly changes: readonly FieldChange[]
  }
  readonly update?: { readonly cause: string; readonly changes: readonly FieldChange[] }
  readonly start?: string
  /** Its place is taken by a new container in the service's rollout: instead of all steps above. */
  readonly roll?: {
    readonly cause: string
    readonly replica: RolledReplica
    readonly changes: readonly FieldChange[]
    readonly policies: RolloutPolicies
  }
}

/** Steps of all containers of each service. */
export type StepsByService = ReadonlyMap<string, readonly ContainerSteps[]>

/** Has it, or may it have at any time, a process. */
export function isLive(container: ObservedContainer): boolean {
  return (
    container.state === 'running' ||
    container.state === 'paused' ||
    container.state === 'restarting'
  )
}

/** Stop where it runs, and remove. */
export function removeSteps(
  container: ObservedContainer,
  cause: string,
  options: { readonly volumes?: boolean } = {},
): ContainerSteps {
  return {
    service: container.service,
    container,
    ...(isLive(container) ? { stop: cause } : {}),
    remove: { cause, ...(options.volumes ? { volumes: true } : {}) },
  }
}

/** Stop where it runs, and start. */
export function restartSteps(container: ObservedContainer, cause: string): ContainerSteps {
  return {
    service: container.service,
    container,
    ...(isLive(container) ? { stop: cause } : {}),
    start: cause,
  }
}

/** Will there be a container of it when the plan is done. */
export function remains(steps: ContainerSteps): boolean {
  return steps.create !== undefined || steps.remove === undefined
}

/** Containers of services by service, each list by number and then name; one-off containers are in none. */
export function containersByService(
  containers: readonly ObservedContainer[],
): Map<string, ObservedContainer[]> {
  const byService = new Map<string, ObservedContainer[]>()
  for (const container of containers) {
    if (container.oneoff) continue
    const list = byService.get(container.service)
    if (list) list.push(container)
    else byService.set(container.service, [container])
  }
  for (const list of byService.values()) list.sort(compareContainers)
  return byService
}

/** By number, then name, then id: a total order, so that the order of observation means nothing. */
export function compareContainers(a: ObservedContainer, b: ObservedContainer): number {
  if (a.number !== b.number) return a.number - b.number
  const [left, right] = a.name === b.name ? [a.id, b.id] : [a.name, b.name]
  return left < right ? -1 : left > right ? 1 : 0
}
