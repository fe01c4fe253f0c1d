import { expect, test } from 'vitest'
import { nextRun, scheduleError } from '../../src/spec/cron.ts'

const NOON = new Date('2026-03-01T12:00:00Z')

test.each([
  ['30 2 * * *', 'UTC', '2026-03-02T02:30:00.000Z'],
  ['30 2 * * *', 'Europe/Vienna', '2026-03-02T01:30:00.000Z'],
  ['@hourly', 'UTC', '2026-03-01T13:00:00.000Z'],
  ['*/10 * * * * *', 'UTC', '2026-03-01T12:00:10.000Z'],
])('nextRun() of %s in %s', (cron, zone, next) => {
  expect(nextRun({ cron, time_zone: zone }, NOON)?.toISOString()).toBe(next)
})

test.each(['', 'every day', '61 * * * *', '* * *'])('scheduleError() refuses "%s"', (cron) => {
  expect(scheduleError({ cron })).toEqual(expect.any(String))
})

test('scheduleError() refuses a time zone that is none', () => {
  expect(scheduleError({ cron: '@daily', time_zone: 'Europe/Vienna' })).toBeUndefined()
  expect(scheduleError({ cron: '@daily', time_zone: 'Vienna/Europe' })).toEqual(expect.any(String))
})
