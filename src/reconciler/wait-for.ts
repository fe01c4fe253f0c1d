/** Waiting for a state of containers, by events; only how long somebody stays paused is looked at now and then. */
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import { lastOutput } from './last-output.ts'
import { containersOf, healthOf } from './observe.ts'
import type { ContainerRecord } from './records.ts'

/** `ready`, not yet, or the reason why it never will be. */
export type Verdict =
  | { readonly kind: 'ready' }
  /** `paused`: nothing will come of it before somebody continues it. */
  | { readonly kind: 'waiting'; readonly paused?: string }
  | { readonly kind: 'never'; readonly why: string }

export type WaitGoal =
  'service_started' | 'service_healthy' | 'service_completed_successfully' | 'settled'

const PAUSE_PATIENCE_MS = 2000
const READY: Verdict = { kind: 'ready' }
const WAITING: Verdict = { kind: 'waiting' }

export interface WaitRequest {
  readonly stack: string
  readonly service: string
  readonly goal: WaitGoal
  /** Ids of containers that are about to go: nobody waits for them. */
  readonly except?: ReadonlySet<string>
  readonly signal?: AbortSignal
}

/**
 * Waits until every container of the service fulfils the goal; `settled` is what `up --wait` asks for: healthy, or
 * running without a check, or completed with success.
 * @throws {FAILED_PRECONDITION} when one never will, with the cause; {CANCELLED} when the signal is aborted
 */
export function waitForService(context: Context, request: WaitRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    let pausedSince: number | undefined
    const check = (): boolean => {
      const records = containersOf(context, request.stack)
        .filter(({ config }) => config.service === request.service && !config.oneoff)
        .filter(({ id, part }) => part === undefined && request.except?.has(id) !== true)
      const verdicts = records.map((record) => judge(context, record, request.goal))
      const never = verdicts.findIndex(({ kind }) => kind === 'never')
      if (never !== -1)
        void failureOf(context, request, { id: records[never]?.id, verdict: verdicts[never] }).then(
          reject,
        )
      else if (verdicts.every((verdict) => verdict.kind === 'ready')) resolve()
      else return givesUpPaused(verdicts)
      return true
    }
    // A commit pauses for a moment. Whoever else has paused it may never come back, and the stack would wait with it.
    const givesUpPaused = (verdicts: readonly Verdict[]): boolean => {
      const [name] = verdicts.flatMap((verdict) =>
        verdict.kind === 'waiting' ? (verdict.paused ?? []) : [],
      )
      const now = performance.now()
      pausedSince = name === undefined ? undefined : (pausedSince ?? now)
      if (name === undefined || now - (pausedSince ?? now) < PAUSE_PATIENCE_MS) return false
      reject(
        new TsstackError(
          'FAILED_PRECONDITION',
          `Cannot wait for service "${request.service}": container "${name}" is paused`,
          { hint: 'Continue it: tsstack unpause' },
        ),
      )
      return true
    }
    if (check()) return
    const look = (): void => {
      if (check()) stop()
    }
    const timer = setInterval(look, PAUSE_PATIENCE_MS)
    const unsubscribe = context.events.subscribe((event) => {
      // Events tell what happens before the record says so; look when the turn is over. Of others there may be hundreds.
      if (event.stack === request.stack && event.service === request.service) queueMicrotask(look)
    })
    const stop = (): void => {
      clearInterval(timer)
      unsubscribe()
      request.signal?.removeEventListener('abort', abort)
    }
    const abort = (): void => {
      stop()
      reject(reasonOf(request))
    }
    // A signal that is aborted already tells nobody.
    if (request.signal?.aborted === true) abort()
    else request.signal?.addEventListener('abort', abort, { once: true })
  })
}

async function failureOf(
  context: Context,
  { service }: WaitRequest,
  { id, verdict }: { readonly id: string | undefined; readonly verdict: Verdict | undefined },
): Promise<TsstackError> {
  const why = verdict?.kind === 'never' ? verdict.why : 'it was removed'
  const hint = await lastOutput(context, id)
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot wait for service "${service}": ${why}`,
    hint === undefined ? {} : { hint },
  )
}

function reasonOf({ signal, service }: WaitRequest): TsstackError {
  const reason: unknown = signal?.reason
  if (reason instanceof TsstackError) return reason
  return new TsstackError('CANCELLED', `Cannot wait for service "${service}" any longer`)
}

/** Whether a container fulfils a goal. */
export function judge(context: Context, record: ContainerRecord, goal: WaitGoal): Verdict {
  const { name, health } = record.config
  const exited = record.state === 'exited' || record.state === 'dead'
  const exitText = `container "${name}" has exited with code ${record.exitCode ?? 0}${record.error === undefined ? '' : ` (${record.error})`}`
  if (goal === 'service_completed_successfully') {
    if (!exited) return WAITING
    return record.exitCode === 0 ? READY : { kind: 'never', why: exitText }
  }
  if (exited && record.exitCode === 0 && goal !== 'service_healthy') return READY
  if (exited) return { kind: 'never', why: exitText }
  if (goal === 'service_started') return READY
  if (record.state === 'paused') return { kind: 'waiting', paused: name }
  if (health === undefined) {
    if (goal === 'service_healthy') return { kind: 'never', why: 'it has no health check' }
    return record.state === 'running' ? READY : WAITING
  }
  const state = healthOf(context, record)
  if (state === 'healthy') return READY
  if (state !== 'unhealthy') return WAITING
  const last = context.live.get(record.id)?.health?.log().at(-1)
  return {
    kind: 'never',
    why: `container "${name}" is unhealthy${last === undefined ? '' : `: ${last.output.trim()}`}`,
  }
}
