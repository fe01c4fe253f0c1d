/**
 * One replica takes the place of another, forward or back:
 *
 *   start-first   start new ─ ready ─ hand over ─ drain old ─ stop old
 *   stop-first    others serve: drain old ─ stop old ─ hand over ─ start new ─ ready
 */
import type { RolloutPolicy } from '../../planner/rollout-policy.ts'
import { TsstackError } from '../../errors.ts'
import type { Context } from '../context.ts'
import { startOnRequest } from '../request-start.ts'
import { stopRegardless } from '../stop-container.ts'
import { drain } from './drain.ts'
import { handOver, type HandOver } from './hand-over.ts'
import { leave } from './leave.ts'
import { becomeReady, whyNotReady } from './readiness.ts'
import { forgetConnections } from './tracked-connections.ts'

export interface Replacement extends HandOver {
  readonly policy: RolloutPolicy
  readonly drainMs: number
  /** Absent: each container's own. */
  readonly graceMs?: number
  /** Raised when it is to wait for nothing any more. */
  readonly hurry?: AbortSignal | undefined
}

/** Something to tell the user of, though all went well. */
export type Warning = string | undefined

/**
 * Resolves when the new one serves, and is and stays as it should be, and the old one has stopped.
 * @throws {FAILED_PRECONDITION} when the new one is not as it should be. With start-first the old one serves as before and
 * the new one is on standby; with stop-first the new one is in its place, as it is
 */
export async function replaceReplica(context: Context, replacement: Replacement): Promise<Warning> {
  const { from, to, policy, drainMs, hurry } = replacement
  if (policy.order === 'start-first') return startFirst(context, replacement)
  await leave(context, from, { longestMs: drainMs, hurry })
  const warning = await stopReplica(context, from, replacement)
  forgetConnections(context, from, 'all')
  handOver(context, replacement)
  return (await startReplica(context, to, { policy, hurry })) ?? warning
}

async function startFirst(context: Context, replacement: Replacement): Promise<Warning> {
  const { from, to, policy, drainMs, hurry } = replacement
  const warning = await startReplica(context, to, { policy, hurry })
  handOver(context, replacement)
  await drain(context, from, { longestMs: drainMs, hurry })
  // Its first load may have been too much for it, and the old one is still there.
  const why = whyNotReady(context, to)
  if (why !== undefined && context.live.has(from)) {
    handOver(context, { from: to, to: from, suffix: 'failed' })
    throw new TsstackError('FAILED_PRECONDITION', why)
  }
  const failure = await stopReplica(context, from, replacement)
  forgetConnections(context, from, 'all')
  return failure ?? warning
}

async function startReplica(
  context: Context,
  id: string,
  { policy, hurry }: Pick<Replacement, 'policy' | 'hurry'>,
): Promise<Warning> {
  const warning = await startOnRequest(context, id, hurry)
  await becomeReady(context, id, { monitorMs: policy.monitorMs, hurry })
  return warning
}

export async function stopReplica(
  context: Context,
  id: string,
  { graceMs }: { readonly graceMs?: number },
): Promise<Warning> {
  const options = graceMs === undefined ? {} : { graceMs }
  return context.locks.run(id, () => stopRegardless(context, id, options))
}
