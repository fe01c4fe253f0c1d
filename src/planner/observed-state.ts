/** A snapshot of what exists of one stack: all that the planner may know of reality. Made by the reconciler. */

export type ContainerState = 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead'
export type HealthState = 'none' | 'starting' | 'healthy' | 'unhealthy'

/**
 * A part in a rollout: `standby` does not serve yet, `retired` does not any more. Nothing leads to either: no published
 * port, no name. Where nobody is rolling out, both are what is left of a rollout that did not come to its end.
 */
export type RolloutPart = 'standby' | 'retired'

export interface ObservedContainer {
  readonly id: string
  readonly name: string
  readonly service: string
  readonly number: number
  /** A container of `tsstack run`: never touched by `up`. */
  readonly oneoff: boolean
  readonly state: ContainerState
  readonly health: HealthState
  /** Absent: it serves. */
  readonly part?: RolloutPart
  readonly exitCode?: number
  /** It ended because it was asked to (`stop`, `kill`, a stop in a plan), not by itself: `up` starts it again whatever its exit code. */
  readonly stopRequested?: boolean
  /** Hash of the fields that can't change on a running container, and of the fields that can. */
  readonly replaceHash: string
  readonly updateHash: string
  /** The fields behind the hashes, for a readable diff; secrets are digests. Keyed by Compose's attribute name, values are canonical JSON text. */
  readonly fields: Readonly<Record<string, string>>
  /** Names of the networks (not keys) it is attached to. */
  readonly networks: readonly string[]
  /** It has volumes without a name: of its image, or of the file. */
  readonly hasAnonymousVolumes?: boolean
  /** Services that it depends on, for an ordered `down` without a stack file. */
  readonly dependsOn?: readonly string[]
}

export interface ObservedNetwork {
  readonly name: string
  /** The key in the stack, absent for one that is not the stack's. */
  readonly key?: string
  readonly configHash: string
  /** What is behind the hash, for a readable diff: canonical JSON text by attribute. Absent in records of older versions. */
  readonly fields?: Readonly<Record<string, string>>
}

export interface ObservedVolume {
  readonly name: string
  /** The key in the stack; absent for an anonymous one that no container has any more. */
  readonly key?: string
  readonly configHash: string
}

export interface ObservedState {
  readonly stack: string
  readonly containers: readonly ObservedContainer[]
  readonly networks: readonly ObservedNetwork[]
  readonly volumes: readonly ObservedVolume[]
  /** Names of what exists and is not the stack's: what it may use as external. */
  readonly others: {
    readonly networks: readonly string[]
    readonly volumes: readonly string[]
    /** Containers of other stacks, by the network of this one that they are on. */
    readonly attached?: Readonly<Record<string, readonly string[]>>
  }
}
