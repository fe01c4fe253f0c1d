import { expect, test } from 'vitest'
import type { RolloutPolicy } from '../../src/planner/rollout-policy.ts'
import { inGroups } from '../../src/reconciler/rollout/in-groups.ts'

const POLICY: RolloutPolicy = {
  order: 'start-first',
  parallelism: 1,
  delayMs: 0,
  monitorMs: 0,
  maxFailureRatio: 0,
  failureAction: 'pause',
}
const ITEMS = ['a', 'b', 'c', 'd']

/** Runs the work for four items, of which some fail. @returns the groups that began together, and what became of all */
async function run(
  policy: Partial<RolloutPolicy>,
  bad = '',
  hurry?: AbortSignal,
): Promise<{ groups: string[]; done: string; failed: string; isExceeded: boolean }> {
  const groups: string[] = []
  let open = 0
  const outcome = await inGroups(
    ITEMS,
    { policy: { ...POLICY, ...policy }, hurry },
    async (item) => {
      if (open === 0) groups.push('')
      open++
      groups.push((groups.pop() ?? '') + item)
      await new Promise((resolve) => setImmediate(resolve))
      open--
      if (bad.includes(item)) throw new Error(`${item} is bad`)
    },
  )
  return {
    groups,
    done: outcome.done.join(''),
    failed: outcome.failed.map(({ item }) => item).join(''),
    isExceeded: outcome.isExceeded,
  }
}

test('so many at a time as the parallelism says, and all for 0', async () => {
  expect((await run({})).groups).toEqual(['a', 'b', 'c', 'd'])
  expect((await run({ parallelism: 3 })).groups).toEqual(['abc', 'd'])
  expect((await run({ parallelism: 0 })).groups).toEqual(['abcd'])
  expect(await run({ parallelism: 9 })).toEqual({
    groups: ['abcd'],
    done: 'abcd',
    failed: '',
    isExceeded: false,
  })
})

test('no other group begins when more have failed than the ratio tolerates', async () => {
  expect(await run({}, 'b')).toEqual({
    groups: ['a', 'b'],
    done: 'a',
    failed: 'b',
    isExceeded: true,
  })
  expect(await run({ maxFailureRatio: 0.25 }, 'b')).toMatchObject({
    done: 'acd',
    failed: 'b',
    isExceeded: false,
  })
  expect(await run({ maxFailureRatio: 0.25, parallelism: 2 }, 'ab')).toMatchObject({
    groups: ['ab'],
    isExceeded: true,
  })
  expect(await run({ failureAction: 'rollback' }, 'a')).toMatchObject({ groups: ['a'] })
})

test('unless the policy is to continue', async () => {
  expect(await run({ failureAction: 'continue' }, 'abcd')).toMatchObject({
    groups: ['a', 'b', 'c', 'd'],
    failed: 'abcd',
    isExceeded: true,
  })
})

test('groups are the delay apart', async () => {
  const start = performance.now()
  await run({ parallelism: 2, delayMs: 50 })
  const elapsed = performance.now() - start
  expect(elapsed).toBeGreaterThanOrEqual(49)
  expect(elapsed).toBeLessThan(50 * ITEMS.length) // once, between the two groups
})

test('none begins when nothing is to be waited for any more', async () => {
  const hurry = new AbortController()
  const running = run({ parallelism: 2, delayMs: 60_000 }, '', hurry.signal)
  setTimeout(() => {
    hurry.abort()
  }, 10)
  expect(await running).toMatchObject({ groups: ['ab'], done: 'ab' })
})
