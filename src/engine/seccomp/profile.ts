/**
 * SeccompProfile: which system calls a container may make, in the words of the OCI runtime specification
 * (config-linux.md, "Seccomp") with the conditions that Docker adds to it.
 */

export type SeccompAction =
  | { readonly kind: 'allow' | 'log' | 'trap' | 'kill-thread' | 'kill-process' }
  /** `trace` without a tracer, which we never are, gives ENOSYS. */
  | { readonly kind: 'errno' | 'trace'; readonly value: number }

export type SeccompOperator = 'ne' | 'lt' | 'le' | 'eq' | 'ge' | 'gt' | 'masked-eq'

/** A condition on an argument, as an unsigned 64-bit number. */
export interface SeccompCondition {
  /** 0 to 5. */
  readonly index: number
  readonly operator: SeccompOperator
  /** What is compared with; for `masked-eq` the mask. */
  readonly value: bigint
  /** `masked-eq`: what the masked argument must be. */
  readonly masked?: bigint
}

/** Which containers and hosts a rule is for. */
export interface SeccompScope {
  /** Docker's names: `amd64`, `arm64`, … */
  readonly arches?: readonly string[]
  /** `CAP_…`; to include, the container must have all of them; to exclude, one is enough. */
  readonly caps?: readonly string[]
  readonly minKernel?: readonly [major: number, minor: number]
}

export interface SeccompRule {
  readonly names: readonly string[]
  readonly action: SeccompAction
  /** All must hold; empty: always. */
  readonly conditions: readonly SeccompCondition[]
  readonly includes?: SeccompScope
  readonly excludes?: SeccompScope
}

export interface SeccompProfile {
  readonly defaultAction: SeccompAction
  /** Of several rules for one call, those with conditions count before those without; then the first. */
  readonly rules: readonly SeccompRule[]
  /** Programs of the machine's 32-bit mode may run, under the same rules (x86 only). */
  readonly allow32Bit: boolean
}
