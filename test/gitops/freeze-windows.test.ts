import { describe, expect, test } from 'vitest'
import { mayChangeAt, nextChangeAt, parseWindow } from '../../src/gitops/freeze-windows.ts'

const NIGHT = 'TZ=UTC 0 2 * * * 3h'
const FRIDAY_EVENING = 'TZ=UTC 0 18 * * 5 60h'

describe('mayChangeAt()', () => {
  test.each([
    ['2026-11-25T01:59:59Z', [NIGHT], [], false],
    ['2026-11-25T02:00:00Z', [NIGHT], [], true],
    ['2026-11-25T04:59:59Z', [NIGHT], [], true],
    ['2026-11-25T05:00:00Z', [NIGHT], [], false],
    ['2026-11-25T12:00:00Z', [], [], true],
    ['2026-11-27T17:59:00Z', [], [FRIDAY_EVENING], true],
    ['2026-11-28T03:00:00Z', [], [FRIDAY_EVENING], false],
    ['2026-11-28T03:00:00Z', [NIGHT], [FRIDAY_EVENING], false],
    ['2026-11-30T06:00:00Z', [], [FRIDAY_EVENING], true],
  ])('at %s with windows %j and freezes %j: %s', (time, windows, freezes, may) => {
    expect(mayChangeAt(new Date(time), { windows, freezes })).toBe(may)
  })

  test.each([
    ['2026-11-25T01:00:00Z', [NIGHT], [], '2026-11-25T02:00:00.000Z'],
    ['2026-11-25T05:00:00Z', [NIGHT], [], '2026-11-26T02:00:00.000Z'],
    ['2026-11-25T03:00:00Z', [NIGHT], [], '2026-11-25T03:00:00.000Z'],
    ['2026-11-28T03:00:00Z', [], [FRIDAY_EVENING], '2026-11-30T06:00:00.000Z'],
    ['2026-11-28T03:00:00Z', [NIGHT], [FRIDAY_EVENING], '2026-12-01T02:00:00.000Z'],
    ['2026-11-28T03:00:00Z', [], ['TZ=UTC 0 0 * * * 24h'], undefined],
  ])(
    'after %s with windows %j and freezes %j the next time is %s',
    (time, windows, freezes, next) => {
      expect(nextChangeAt(new Date(time), { windows, freezes })?.toISOString()).toBe(next)
    },
  )

  test.each([
    '',
    '3h',
    '0 2 * * *',
    '0 2 * * * x',
    '0 2 * * * 0s',
    '99 2 * * * 1h',
    'TZ=No/Where 0 2 * * * 1h',
  ])('refuses %j', (text) => {
    expect(() => parseWindow(text)).toThrow(/Cannot read window/)
  })
})
