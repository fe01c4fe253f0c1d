import { expect, test } from 'vitest'
import { isPullDue, parsePullPolicy, pullPolicyOf } from '../../src/reconciler/pull-policy.ts'

const HOUR_MS = 3_600_000
const NOW_MS = 1000 * HOUR_MS

/** Whether an image is pulled that is not here, and one that was looked at so many hours ago. */
function due(word: string, hours: number, refreshAfter?: string): [missing: boolean, old: boolean] {
  const policy = parsePullPolicy(word, refreshAfter)
  const checkedAtMs = NOW_MS - hours * HOUR_MS
  return [
    isPullDue(policy, { isHere: false, checkedAtMs: undefined, nowMs: NOW_MS }),
    isPullDue(policy, { isHere: true, checkedAtMs, nowMs: NOW_MS }),
  ]
}

test.each([
  ['always', 0, [true, true]],
  ['missing', 999, [true, false]],
  ['if_not_present', 999, [true, false]],
  ['build', 999, [true, false]],
  ['never', 999, [false, false]],
  ['daily', 23, [true, false]],
  ['daily', 25, [true, true]],
  ['weekly', 167, [true, false]],
  ['weekly', 169, [true, true]],
  ['every_1d12h', 35, [true, false]],
  ['every_1d12h', 37, [true, true]],
  ['refresh', 25, [true, true]],
] as const)('%s, looked at %d hours ago: %j', (word, hours, expected) => {
  expect(due(word, hours)).toEqual(expected)
})

test('pull_refresh_after is the period of "refresh", with the word and without', () => {
  expect(due('refresh', 2, '1h')).toEqual([true, true])
  expect(due('refresh', 2, '3h')).toEqual([true, false])
  expect(pullPolicyOf({ pull_refresh_after: '3h' } as never)).toEqual({
    kind: 'refresh',
    afterMs: 3 * HOUR_MS,
  })
  expect(pullPolicyOf({})).toBeUndefined()
})

test('words that mean nothing are refused', () => {
  for (const word of ['sometimes', 'every_', 'every_x'])
    expect(() => parsePullPolicy(word)).toThrow(word)
})
