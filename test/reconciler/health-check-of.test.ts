import { describe, expect, test } from 'vitest'
import type { Image } from '../../src/engine/images/image.ts'
import { healthCheckOf } from '../../src/reconciler/health-check-of.ts'

const SECOND = 1e9
const image = {
  config: { healthcheck: { test: ['CMD', 'own'], interval: 7 * SECOND, retries: 4 } },
} as unknown as Image

describe('healthCheckOf()', () => {
  test("what is not said, is empty or 0 is the image's, else the default", () => {
    const healthcheck = { test: [], interval: '0s', timeout: '0s', retries: 0, start_period: '0s' }
    const expected = {
      test: { kind: 'exec', command: ['own'] },
      intervalMs: 7000,
      timeoutMs: 30_000,
      retries: 4,
      startPeriodMs: 0,
      startIntervalMs: 5000,
    }
    expect(healthCheckOf({}, image)).toEqual(expected)
    expect(healthCheckOf({ healthcheck }, image)).toEqual(expected)
  })

  test('an interval that would leave no pause is refused', () => {
    const check = (): unknown => healthCheckOf({ healthcheck: { interval: '10us' } }, image)
    expect(check).toThrow('"10us" is shorter than a millisecond')
  })
})
