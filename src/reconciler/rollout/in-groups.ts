/** Work on many replicas, some at a time, until too many have failed. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RolloutPolicy } from '../../planner/rollout-policy.ts'

export interface Failure<T> {
  readonly item: T
  readonly error: unknown
}

export interface Outcome<T> {
  readonly done: readonly T[]
  readonly failed: readonly Failure<T>[]
  /** More have failed than are tolerated: what is in neither list was not begun. */
  readonly isExceeded: boolean
}

/**
 * Runs the work for groups of `parallelism` items, `delay` apart. A failure is counted; when there are more than
 * `max_failure_ratio` of all, no other group begins, unless the policy is to continue; nor does one when the signal is
 * raised.
 */
export async function inGroups<T>(
  items: readonly T[],
  { policy, hurry }: { readonly policy: RolloutPolicy; readonly hurry?: AbortSignal | undefined },
  work: (item: T) => Promise<void>,
): Promise<Outcome<T>> {
  const size = policy.parallelism === 0 ? items.length : policy.parallelism
  const done: T[] = []
  const failed: Failure<T>[] = []
  const isExceeded = (): boolean => failed.length / items.length > policy.maxFailureRatio
  for (let first = 0; first < items.length; first += size) {
    if (first > 0) await pause(policy.delayMs, hurry)
    if (hurry?.aborted === true) break
    const group = items.slice(first, first + size)
    const results = await Promise.allSettled(group.map((item) => work(item)))
    for (const [index, result] of results.entries()) {
      const item = group[index]
      if (item === undefined) continue
      if (result.status === 'fulfilled') done.push(item)
      else failed.push({ item, error: result.reason })
    }
    if (isExceeded() && policy.failureAction !== 'continue') break
  }
  return { done, failed, isExceeded: isExceeded() }
}

async function pause(ms: number, hurry: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, { signal: hurry }).catch(() => undefined)
}
