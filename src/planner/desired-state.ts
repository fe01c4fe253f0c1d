/** What the planner compares with: the Stack with every outside fact already looked up. Made by the reconciler. */
import type { Stack } from '../spec/stack.ts'

export interface DesiredState {
  readonly stack: Stack
  /** Digest of the image that each service's `image` resolves to now. */
  readonly imageDigests: Readonly<Record<string, string>>
  /** Digests of the images that are mounted (`type: image`), by reference. */
  readonly mountedImageDigests?: Readonly<Record<string, string>>
  /** sha256 of each config's and secret's content, by key: changed content is a change of every service that mounts it. */
  readonly contentDigests: {
    readonly configs: Readonly<Record<string, string>>
    readonly secrets: Readonly<Record<string, string>>
  }
  /** Services of the file that no active profile enables: their containers are left alone and are no orphans. */
  readonly disabledServices?: readonly string[]
}

export interface UpOptions {
  /** Only these services and what they depend on; empty or absent: all. */
  readonly services?: readonly string[]
  readonly forceRecreate?: boolean
  /** With `services`: also what they depend on. */
  readonly alwaysRecreateDeps?: boolean
  readonly noRecreate?: boolean
  readonly noDeps?: boolean
  readonly removeOrphans?: boolean
  /** Say nothing of them. */
  readonly ignoreOrphans?: boolean
  /** Replica counts that override the stack's. */
  readonly scale?: Readonly<Record<string, number>>
  /** Create, but do not start. */
  readonly noStart?: boolean
  /** Do not inherit the anonymous volumes of replaced containers. */
  readonly renewAnonVolumes?: boolean
  /** Services that run again though they have completed: who asks for them by name wants to see them run. */
  readonly rerun?: readonly string[]
  /** A service that is to run after it: the plan ends when what that depends on is as its conditions ask. */
  readonly before?: string
}

/** Only what the planner goes by, of options that may have more. */
export function planningOptions(options: UpOptions): UpOptions {
  const { services, forceRecreate, alwaysRecreateDeps, noRecreate, noDeps } = options
  const { removeOrphans, ignoreOrphans, scale, noStart, renewAnonVolumes, rerun, before } = options
  const all = {
    services,
    forceRecreate,
    alwaysRecreateDeps,
    noRecreate,
    noDeps,
    removeOrphans,
    ignoreOrphans,
    scale,
    noStart,
    renewAnonVolumes,
    rerun,
    before,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

export interface DownOptions {
  readonly services?: readonly string[]
  readonly volumes?: boolean
  readonly removeOrphans?: boolean
}

export interface LifecycleOptions {
  /** Only these services (start: and what they depend on; restart: and what asks to restart with them); empty or absent: all. */
  readonly services?: readonly string[]
  /** Exactly the named services. */
  readonly noDeps?: boolean
}
