import { expect, test } from 'vitest'
import { restartDelay } from '../../src/reconciler/container-exit.ts'

test('the first restart is at once', () => {
  expect(restartDelay(0)).toBe(0)
})

test('those after it wait twice as long each time, less half of it at most', () => {
  for (const [restartCount, longest] of [
    [1, 100],
    [2, 200],
    [5, 1600],
  ] as const) {
    const delays = Array.from({ length: 50 }, () => restartDelay(restartCount))
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(longest / 2)
    expect(Math.max(...delays)).toBeLessThanOrEqual(longest)
    expect(new Set(delays).size).toBeGreaterThan(1)
  }
})

test('no restart waits longer than a minute', () => {
  expect(restartDelay(10_000)).toBeLessThanOrEqual(60_000)
})
