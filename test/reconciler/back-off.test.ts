import { expect, test } from 'vitest'
import { backOffMs } from '../../src/reconciler/back-off.ts'
import { restartDelay } from '../../src/reconciler/container-exit.ts'

test('each try waits twice as long as the one before, less a half of it at most', () => {
  for (const [failures, longest] of [
    [1, 100],
    [2, 200],
    [5, 1600],
    [10_000, 60_000],
  ] as const) {
    const delays = Array.from({ length: 50 }, () =>
      backOffMs(failures, { firstMs: 100, longestMs: 60_000 }),
    )
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(longest / 2)
    expect(Math.max(...delays)).toBeLessThanOrEqual(longest)
    expect(new Set(delays).size).toBeGreaterThan(1)
  }
})

test('the first restart of a container is at once, and none waits longer than a minute', () => {
  expect(restartDelay(0)).toBe(0)
  expect(restartDelay(1)).toBeGreaterThanOrEqual(50)
  expect(restartDelay(10_000)).toBeLessThanOrEqual(60_000)
})
