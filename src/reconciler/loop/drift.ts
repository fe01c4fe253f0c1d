/** What differs between a stack as it is wanted and what the kernel has of it. */
export type DriftKind =
  | 'network'
  | 'endpoint'
  | 'firewall'
  | 'limits'
  | 'cgroup'
  | 'mount'
  | 'namespace'
  | 'containers'
  | 'override'

export interface Drift {
  readonly kind: DriftKind
  /** The name of the container, network or stack that it is about. */
  readonly subject: string
  readonly service?: string
  /** What differs, in words: `memory.max is max instead of 67108864`. */
  readonly difference: string
}

export interface FoundDrift extends Drift {
  /** Makes it as it should be; to be repeated when it fails. The caller holds the stack's lock. */
  readonly repair: () => Promise<void>
}
