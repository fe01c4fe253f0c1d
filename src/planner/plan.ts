/**
 * The plan: what has to be done so that observed becomes desired, as a graph of operations. A plain value: the planner
 * makes it, `tsstack plan` prints it, the reconciler executes it and decides nothing.
 *
 * Each operation is one driver call. `dependsOn` names operations that must have succeeded before; operations that do
 * not depend on each other run in parallel.
 */

import type { FilePosition } from '../spec/loaded-stack.ts'
import type { RolloutPolicies } from './rollout-policy.ts'

export type OperationId = number

interface Base {
  readonly id: OperationId
  readonly dependsOn: readonly OperationId[]
  /** Why: `service is new`, `image changed: a -> b`. Shown to the user. */
  readonly cause: string
  readonly destructive?: Hazard
}

/**
 * `data-loss`: the data in volumes goes, for good. `stateful-replacement`: a container that has volumes is made anew;
 * they stay, but it can't run meanwhile.
 */
export type Hazard = 'data-loss' | 'stateful-replacement'

/** One field that differs, for display: `mem_limit: "64m" -> "128m"`. Secret values are never in it. */
export interface FieldChange {
  readonly field: string
  readonly before: string | undefined
  readonly after: string | undefined
  /** Of the value that it has now; absent where it is written nowhere, or nobody knows. */
  readonly position?: FilePosition
}

/** A container whose place one of the new version takes. */
export interface RolledReplica {
  readonly number: number
  /** What the new one is called when it serves. */
  readonly container: string
  /** The old one. */
  readonly containerId: string
  /** The new one takes over the old one's anonymous volumes. */
  readonly inherits: boolean
}

export type Operation = Base &
  /** `changes`: of the one of that name which the plan removes before. */
  (
    | {
        readonly kind: 'create-network'
        readonly network: string
        readonly changes?: readonly FieldChange[]
      }
    | { readonly kind: 'remove-network'; readonly network: string }
    | { readonly kind: 'create-volume'; readonly volume: string }
    | { readonly kind: 'remove-volume'; readonly volume: string }
    /**
     * `replaces`: the id of the container whose place it takes (its anonymous volumes are inherited). Absent for a new
     * replica, and for a replacement that is to begin with fresh anonymous volumes.
     */
    | {
        readonly kind: 'create-container'
        readonly service: string
        readonly number: number
        readonly container: string
        readonly replaces?: string
        readonly changes: readonly FieldChange[]
      }
    /** Limits, published ports, aliases, restart policy, health check, labels: changed on the running container. */
    | {
        readonly kind: 'update-container'
        readonly service: string
        readonly container: string
        readonly containerId: string
        readonly changes: readonly FieldChange[]
      }
    /** `containerId` is absent for a container that this plan creates. */
    | {
        readonly kind: 'start-container'
        readonly service: string
        readonly container: string
        readonly containerId?: string
      }
    /** `drainMs`: other replicas serve in its place, and its open connections may go on for so long. */
    | {
        readonly kind: 'stop-container'
        readonly service: string
        readonly container: string
        readonly containerId: string
        readonly drainMs?: number
      }
    /** `volumes`: its anonymous volumes go too (`down -v`); absent, they are kept or inherited. */
    | {
        readonly kind: 'remove-container'
        readonly service: string
        readonly container: string
        readonly containerId: string
        readonly volumes?: true
      }
    /**
     * Replaces running containers by new ones, some at a time, and only as long as the new ones are as they should be
     * (`deploy.update_config`).
     */
    | {
        readonly kind: 'roll-out-service'
        readonly service: string
        readonly replicas: readonly RolledReplica[]
        readonly policies: RolloutPolicies
        readonly changes: readonly FieldChange[]
      }
    /** Waits until every replica of the service fulfils the condition; fails when it never can. */
    | {
        readonly kind: 'wait-for-service'
        readonly service: string
        readonly condition: 'service_started' | 'service_healthy' | 'service_completed_successfully'
        /**
         * false: a failure is only a warning, be it of the wait or of an operation that it depends on: such a wait is
         * over as soon as its dependencies have ended, well or not, and what depends on it goes on.
         */
        readonly required: boolean
      }
  )

export type OperationKind = Operation['kind']

export interface Plan {
  readonly stack: string
  /** In an order in which they could run one after another. Ids are 1, 2, 3, … */
  readonly operations: readonly Operation[]
  /** What the user should know though nothing is wrong: orphans, ports open to the world. */
  readonly warnings: readonly string[]
}
