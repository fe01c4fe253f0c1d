/** Scheduled services: runs come when their time has come, and what becomes of them is told. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { JobRun } from '../../src/api/job-types.ts'
import type { Schedule } from '../../src/spec/stack.ts'
import {
  collect,
  startDaemonFixture,
  type DaemonFixture,
  type StackParts,
} from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const EACH_SECOND = '* * * * * *'
const NEVER_SOON = '0 0 29 2 *'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

function stackOf(command: string, schedule: Schedule): StackParts {
  const job = {
    image: 'host:sh,sleep',
    network_mode: 'none',
    command: ['sh', '-c', command],
    'x-tsstack': { schedule },
  }
  return { services: { job } }
}

async function withStack(
  parts: StackParts,
  body: (history: () => Promise<readonly JobRun[]>) => Promise<void>,
): Promise<void> {
  await daemon.up('cron', parts)
  try {
    await body(() => daemon.client.jobHistory('cron'))
  } finally {
    await daemon.down('cron', { volumes: true })
  }
}

test('a run comes when its time has come, and only so many are kept', async () => {
  const parts = stackOf('echo ran', { cron: EACH_SECOND, history: 2 })
  await withStack(parts, async (history) => {
    expect((await daemon.client.jobs('cron'))[0]).toMatchObject({ service: 'job' })
    const first = await eventually('a run', async () =>
      (await history()).find(({ state }) => state === 'succeeded'),
    )
    expect(first).toMatchObject({ trigger: 'schedule', exitCode: 0 })
    await eventually('the end of the first in the history', async () =>
      (await history()).every(({ id }) => id !== first.id),
    )
    expect((await history()).filter(({ state }) => state !== 'running').length).toBeLessThanOrEqual(
      2,
    )
  })
})

test('a run can be asked for, and tells that it failed', async () => {
  await withStack(stackOf('exit 3', { cron: NEVER_SOON }), async (history) => {
    await daemon.client.runJob('cron', 'job')
    await eventually('its end', async () => (await history())[0]?.state === 'failed')
    expect((await history())[0]).toMatchObject({ trigger: 'request', exitCode: 3 })
    await expect(daemon.client.runJob('cron', 'other')).rejects.toThrow('it has no schedule')
  })
})

test('a run is skipped, or takes the place of the one before', async () => {
  await withStack(stackOf('exec sleep 600', { cron: EACH_SECOND }), async (history) => {
    await eventually('a skipped run', async () =>
      (await history()).find(({ state }) => state === 'skipped'),
    )
    expect((await history()).filter(({ state }) => state === 'running')).toHaveLength(1)
  })
  const replacing = stackOf('exec sleep 600', { cron: EACH_SECOND, concurrency: 'replace' })
  await withStack(replacing, async (history) => {
    await eventually('a run that was replaced', async () =>
      (await history()).find(({ state }) => state === 'failed'),
    )
  })
})

test('schedules rest while the stack is stopped, and outlive the daemon', async () => {
  await withStack(stackOf('true', { cron: EACH_SECOND, history: 1000 }), async (history) => {
    await eventually('a run', async () => (await history()).length > 0)
    await collect(daemon.client.lifecycle('cron', { action: 'stop' }))
    expect((await daemon.client.jobs('cron'))[0]?.next).toBeUndefined()
    const count = (await history()).length
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect((await history()).length).toBeLessThanOrEqual(count + 1)
    await collect(daemon.client.lifecycle('cron', { action: 'start' }))
    await daemon.kill()
    await daemon.start()
    const before = (await history()).length
    await eventually('a run of the new daemon', async () => (await history()).length > before)
  })
})

test('runs that can not be started are forgotten as others are', async () => {
  const parts = stackOf('true', { cron: NEVER_SOON, history: 2 })
  const job = { ...parts.services['job'], command: ['/no/such/program'] }
  await withStack({ services: { job } }, async (history) => {
    for (let count = 0; count < 4; count++)
      await daemon.client.runJob('cron', 'job').catch(() => undefined)
    expect((await history()).map(({ state }) => state)).toEqual(['failed', 'failed'])
    await eventually('as many containers', async () => {
      const all = await daemon.client.containers({ stack: 'cron', all: true })
      return all.length === 2
    })
  })
})

test('a run that has waited is of what the stack is by then', async () => {
  const schedule: Schedule = { cron: NEVER_SOON, concurrency: 'replace' }
  const slow = stackOf(
    'trap "sleep 1; exit 1" TERM; echo ready; while :; do sleep 0.05; done',
    schedule,
  )
  await withStack(slow, async (history) => {
    await daemon.client.runJob('cron', 'job')
    await eventually('a handler', async () => {
      const lines = await collect(daemon.client.logs('cron', { services: 'job' }))
      return lines.length > 0
    })
    const next = daemon.client.runJob('cron', 'job')
    await daemon.up('cron', stackOf('exit 7', schedule))
    await next
    await eventually('its end', async () => (await history())[0]?.exitCode === 7)
  })
})
