/** When a new replica counts as updated: it runs, is healthy where it has a check, and stays so for a while. */
import { toTsstackError, TsstackError } from '../../errors.ts'
import type { Context } from '../context.ts'
import { listensWhereItHasNoCheck } from '../first-listen.ts'
import type { ContainerRecord } from '../records.ts'
import { judge, type Verdict } from '../wait-for.ts'
import { LONGEST_TIMER_MS } from '../../timer-limit.ts'

/**
 * Resolves when the container is as it should be and has stayed so for the given time.
 * @throws {FAILED_PRECONDITION} as soon as it never will be, with the reason; what the signal was raised with
 */
export async function becomeReady(
  context: Context,
  id: string,
  { monitorMs, hurry }: Patience & { readonly monitorMs: number },
): Promise<void> {
  await watch(context, id, { isEnough: (verdict) => verdict.kind === 'ready', hurry })
  await listensWhereItHasNoCheck(context, id)
  if (monitorMs > 0) await staysReady(context, id, { monitorMs, hurry })
}

interface Patience {
  /** Raised when it is not to be waited for any more. */
  readonly hurry?: AbortSignal | undefined
}

/** @returns why the container is not as it should be; undefined when it is */
export function whyNotReady(context: Context, id: string): string | undefined {
  const verdict = verdictOf(context, id)
  if (verdict.kind === 'ready') return undefined
  return verdict.kind === 'never' ? verdict.why : 'it is not healthy any more'
}

function verdictOf(context: Context, id: string): Verdict {
  const record = context.containers.get(id)
  if (record === undefined) return { kind: 'never', why: 'its container was removed' }
  const { name } = record.config
  const hasEnded = record.state === 'exited' || record.state === 'restarting'
  if ((hasEnded && !isJobDone(record)) || record.restartCount > 0) {
    const reason = record.error === undefined ? '' : ` (${record.error})`
    const code = String(record.exitCode ?? 0)
    return { kind: 'never', why: `container "${name}" has exited with code ${code}${reason}` }
  }
  return judge(context, record, 'settled')
}

/** It had one thing to do, and has done it. */
function isJobDone({ state, exitCode, config }: ContainerRecord): boolean {
  const isService = config.ports.length > 0 || config.health !== undefined
  return state === 'exited' && exitCode === 0 && !isService
}

/** Resolves when the verdict is as wanted; by events: nothing polls. */
function watch(
  context: Context,
  id: string,
  {
    isEnough,
    timeoutMs,
    hurry,
  }: Patience & {
    readonly isEnough: (verdict: Verdict) => boolean
    readonly timeoutMs?: number
  },
): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    let unsubscribe = (): void => undefined
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      unsubscribe()
      hurry?.removeEventListener('abort', giveUp)
      settle()
    }
    const giveUp = (): void => {
      end(() => {
        reject(toTsstackError(hurry?.reason))
      })
    }
    const look = (): void => {
      const verdict = verdictOf(context, id)
      if (isEnough(verdict)) end(resolve)
      else if (verdict.kind === 'never')
        end(() => {
          reject(new TsstackError('FAILED_PRECONDITION', verdict.why))
        })
    }
    unsubscribe = context.events.subscribe((event) => {
      // Events tell what happens before the record says so; look when the turn is over.
      if (event.id === id) queueMicrotask(look)
    })
    if (timeoutMs !== undefined)
      timer = setTimeout(end, Math.min(timeoutMs, LONGEST_TIMER_MS), resolve)
    hurry?.addEventListener('abort', giveUp)
    if (hurry?.aborted === true) giveUp()
    else look()
  })
}

async function staysReady(
  context: Context,
  id: string,
  { monitorMs, hurry }: Patience & { readonly monitorMs: number },
): Promise<void> {
  await watch(context, id, { isEnough: () => false, timeoutMs: monitorMs, hurry })
  const why = whyNotReady(context, id)
  if (why !== undefined) throw new TsstackError('FAILED_PRECONDITION', why)
}
