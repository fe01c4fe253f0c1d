/**
 * Work on one key runs one after the other, in the order of the calls. Work may wait for long, for a service that never
 * becomes healthy: its signal is raised when somebody comes who can't be kept waiting for that.
 */
import { TsstackError } from '../errors.ts'

/**
 * What its coming means to the work before it: `patient` waits; `request` has it end its waits where nobody is interested
 * in it any more; `urgent` has it end them in any case.
 */
export type Urgency = 'patient' | 'request' | 'urgent'

export interface LockOptions {
  /** @default {'patient'} */
  readonly urgency?: Urgency
  /** Raised when nobody is interested in the work any more; absent: never. */
  readonly abandoned?: AbortSignal | undefined
}

export interface Locks {
  /** @param work - is given a signal that is raised when it is to wait for nothing any more */
  run<T>(key: string, work: (hurry: AbortSignal) => Promise<T>, options?: LockOptions): Promise<T>
}

interface Turn {
  readonly urgency: Urgency
  readonly abandoned: AbortSignal | undefined
  readonly hurry: AbortController
}

export function createLocks(): Locks {
  const queues = new Map<string, Turn[]>()
  const last = new Map<string, Promise<unknown>>()
  return {
    run(key, work, { urgency = 'patient', abandoned } = {}) {
      const queue = queues.get(key) ?? []
      queues.set(key, queue)
      const turn: Turn = { urgency, abandoned, hurry: new AbortController() }
      queue.push(turn)
      const look = (): void => {
        hurryUp(queue)
      }
      abandoned?.addEventListener('abort', look)
      look()
      const start = (): ReturnType<typeof work> => work(turn.hurry.signal)
      const before = last.get(key) ?? Promise.resolve()
      const result = before.then(start, start)
      const settled = result.then(
        () => undefined,
        () => undefined,
      )
      last.set(key, settled)
      void settled.then(() => {
        abandoned?.removeEventListener('abort', look)
        queue.shift()
        if (last.get(key) !== settled) return
        last.delete(key)
        queues.delete(key)
      })
      return result
    },
  }
}

/** All that stands in front of an urgent turn, and what is abandoned in front of a request. */
function hurryUp(queue: readonly Turn[]): void {
  const behind = { urgent: false, request: false }
  for (const { urgency, abandoned, hurry } of [...queue].reverse()) {
    if (behind.urgent || (behind.request && abandoned?.aborted === true))
      hurry.abort(
        new TsstackError('CANCELLED', 'Cannot wait any longer: another request for it has come'),
      )
    behind.urgent ||= urgency === 'urgent'
    behind.request ||= urgency !== 'patient'
  }
}
