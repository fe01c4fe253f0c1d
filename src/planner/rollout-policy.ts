/** How a service's containers are replaced by those of a new version: Compose's `deploy.update_config`, as numbers. Pure. */
import { TsstackError } from '../errors.ts'
import { parseDurationMs } from '../spec/duration.ts'
import type { Service, UpdateConfig } from '../spec/stack.ts'

export type FailureAction = 'pause' | 'continue' | 'rollback'

export interface RolloutPolicy {
  /** `start-first`: the new one serves before the old one goes. */
  readonly order: 'start-first' | 'stop-first'
  /** Replicas at the same time; 0: all. */
  readonly parallelism: number
  /** Between one group of replicas and the next. */
  readonly delayMs: number
  /** For how long a replica has to stay as it should be before it counts as updated. */
  readonly monitorMs: number
  /** Failed replicas of all that are tolerated: from 0 to 1. */
  readonly maxFailureRatio: number
  /** What more failures than that lead to. */
  readonly failureAction: FailureAction
}

/** The way forward and the way back. */
export interface RolloutPolicies {
  readonly update: RolloutPolicy
  readonly rollback: RolloutPolicy
  /** For how long connections of a replaced replica may go on before it is asked to stop. */
  readonly drainMs: number
}

const DEFAULT_DRAIN_MS = 10_000
const ACTIONS: ReadonlySet<string> = new Set<FailureAction>(['pause', 'continue', 'rollback'])

/**
 * @returns undefined for a service without `deploy.update_config`: then all of its containers are replaced at once, the
 * old ones stopped first, as Docker Compose does
 * @throws {INVALID_ARGUMENT} for a number or an action that is none
 */
export function rolloutPolicies(name: string, service: Service): RolloutPolicies | undefined {
  const { update_config: update, rollback_config: rollback } = service.deploy ?? {}
  if (!update) return undefined
  const forward = policyOf(name, update)
  return {
    update: forward,
    // Without a word on the way back it is the way forward, and nothing is behind it.
    rollback: rollback
      ? withoutRollback(name, policyOf(name, rollback))
      : { ...forward, failureAction: 'pause' },
    drainMs: drainMsOf(service),
  }
}

/** For how long connections of a replica may go on before it is asked to stop, where others serve in its place. */
export function drainMsOf(service: Service): number {
  return durationMs(service['x-tsstack']?.drain, DEFAULT_DRAIN_MS)
}

/** Defaults: docs.docker.com/reference/compose-file/deploy, update_config. */
function policyOf(name: string, config: UpdateConfig): RolloutPolicy {
  const action = config.failure_action ?? 'pause'
  const { parallelism = 1, max_failure_ratio: ratio = 0 } = config
  if (!isAction(action))
    throw invalid(name, `failure_action "${action}" is none of ${[...ACTIONS].join(', ')}`)
  if (!Number.isInteger(parallelism) || parallelism < 0)
    throw invalid(name, `parallelism ${String(parallelism)} is no number of replicas`)
  if (!(ratio >= 0 && ratio <= 1))
    throw invalid(name, `max_failure_ratio ${String(ratio)} is not between 0 and 1`)
  return {
    order: config.order === 'start-first' ? 'start-first' : 'stop-first',
    parallelism,
    delayMs: durationMs(config.delay, 0),
    monitorMs: durationMs(config.monitor, 0),
    maxFailureRatio: ratio,
    failureAction: action,
  }
}

function isAction(text: string): text is FailureAction {
  return ACTIONS.has(text)
}

function withoutRollback(name: string, policy: RolloutPolicy): RolloutPolicy {
  if (policy.failureAction !== 'rollback') return policy
  throw invalid(name, 'the failure_action of a rollback_config can only be pause or continue')
}

function durationMs(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : Math.max(0, parseDurationMs(text))
}

function invalid(name: string, why: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot update service "${name}": ${why}`)
}

/** `rolling, start-first, 2 at a time`: for plans and progress. */
export function describePolicy({ order, parallelism }: RolloutPolicy, replicas: number): string {
  const size = parallelism === 0 ? replicas : Math.min(parallelism, replicas)
  if (replicas === 1) return `rolling, ${order}`
  return `rolling, ${order}, ${size === replicas ? 'all at once' : `${String(size)} at a time`}`
}
