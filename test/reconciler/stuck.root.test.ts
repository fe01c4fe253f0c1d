/** What may never come, such as the health of a container that is paused, is not waited for by anybody for ever. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import {
  collect,
  failureOf,
  startDaemonFixture,
  upRequest,
  type DaemonFixture,
  type StackParts,
} from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'stuck'
const IDLE: Service = {
  image: 'host:sh,coreutils',
  command: ['sleep', 'infinity'],
  init: true,
  network_mode: 'none',
}

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

const act = (action: 'pause' | 'unpause'): Promise<unknown> =>
  collect(daemon.client.lifecycle(STACK, { action, services: ['s'] }))

test('up does not wait for the health of a container that somebody has paused', async () => {
  const check = { test: ['CMD', 'false'], interval: '1s', retries: 1000 }
  const web: Service = {
    ...IDLE,
    depends_on: { s: { condition: 'service_healthy', required: true } },
  }
  const up = daemon.up(STACK, { services: { s: { ...IDLE, healthcheck: check }, web } })
  const failed = expect(up).rejects.toThrow('"stuck-s-1" is paused')
  await eventually(
    'the container to run',
    async () => (await daemon.client.containers({ stack: STACK }))[0]?.state === 'running',
  )
  await act('pause')
  await failed
  await daemon.down(STACK)
})

/** Its `up` takes for ever. */
function endless(more: Service): StackParts {
  const web: Service = {
    ...IDLE,
    depends_on: { s: { condition: 'service_completed_successfully', required: true } },
  }
  return { services: { s: { ...IDLE, ...more }, web } }
}

const isRunning = async (): Promise<boolean> =>
  (await daemon.client.containers({ stack: STACK })).length > 0

test.each<[string, Service]>([
  ['a dependency', {}],
  ['a pre_start hook', { pre_start: [{ command: ['sleep', 'infinity'] }] }],
  ['a post_start hook', { post_start: [{ command: ['sleep', 'infinity'] }] }],
])('down does not wait for %s that goes on for ever', async (_, more) => {
  const up = failureOf(daemon.up(STACK, endless(more)))
  await eventually('a container', isRunning)
  await daemon.down(STACK)
  expect(await up).toMatchObject({ code: 'CANCELLED' })
  expect(await daemon.client.containers({ stack: STACK, all: true })).toEqual([])
})

test('an up takes the place of one that waits and whose client has gone', async () => {
  const client = new AbortController()
  const request = upRequest(STACK, endless({}))
  const up = collect(daemon.client.up(STACK, request, client.signal)).catch(() => undefined)
  await eventually('a container', isRunning)
  const look = daemon.client.resume(STACK) // no reason to end anything
  client.abort()
  await Promise.all([up, look])
  await daemon.up(STACK, endless({ command: ['true'] }))
  const all = await daemon.client.containers({ stack: STACK, all: true })
  expect(all.map(({ state }) => state)).toEqual(['exited', 'running'])
  const history = (await daemon.client.revisions(STACK)).slice(0, 2)
  expect(history.map(({ outcome }) => outcome.status)).toEqual(['succeeded', 'failed'])
  await daemon.down(STACK)
})

test('a rollout ends where it is when the stack is taken down', async () => {
  const web: Service = {
    ...IDLE,
    scale: 3,
    deploy: { update_config: { order: 'start-first', delay: '10m', failure_action: 'rollback' } },
  }
  await daemon.up(STACK, { services: { web } })
  const up = failureOf(daemon.up(STACK, { services: { web: { ...web, user: '1' } } }))
  const names = async (): Promise<string[]> =>
    (await daemon.client.containers({ stack: STACK, all: true })).map(({ name }) => name)
  await eventually('the first', async () => (await names()).includes('stuck-web-1-old'))
  await eventually('its end', async () => {
    const all = await daemon.client.containers({ stack: STACK })
    return all.every(({ name }) => name !== 'stuck-web-1-old')
  })
  const { services } = await daemon.client.status(STACK)
  expect(services[0]?.conditions[0]).toMatchObject({ type: 'Ready', status: 'True' })
  await daemon.down(STACK)
  expect((await up).message).toContain('another request has come; 1 of 3 updated')
  expect(await names()).toEqual([])
})

const STUBBORN = ['sh', '-c', 'trap "echo no" TERM; while :; do sleep 0.1; done']
const UNSTOPPABLE: readonly [string, Service][] = [
  ['its signal', { command: STUBBORN, init: false }],
  ['its hook', { pre_stop: [{ command: ['sleep', '600'] }] }],
]
test.each(UNSTOPPABLE)('down -t 0 does not sit out what a stop gives for %s', async (_, more) => {
  await daemon.up(STACK, { services: { web: { ...IDLE, stop_grace_period: '10m', ...more } } })
  const stopping = collect(daemon.client.lifecycle(STACK, { action: 'stop' })).catch(String)
  const query = { stack: STACK, follow: false, since: '2000-01-01T00:00:00Z' }
  await eventually('the stop to begin', async () =>
    (await collect(daemon.client.events(query))).some(({ action }) => action === 'override'),
  )
  await daemon.down(STACK)
  await stopping
  expect(await daemon.client.containers({ stack: STACK, all: true })).toEqual([])
})

test('a grace period of a month is no end at once', async () => {
  const polite = ['sh', '-c', 'trap "sleep 0.5; exit 7" TERM; while :; do sleep 0.05; done']
  const web: Service = { ...IDLE, command: polite, init: false, stop_grace_period: '1000h' }
  await daemon.up(STACK, { services: { web } })
  await eventually('its trap', async () => {
    const { pid = 0 } = await daemon.container(STACK, 'web')
    return /^SigCgt:.*4...$/m.test(readFileSync(`/proc/${String(pid)}/status`, 'latin1'))
  })
  await collect(daemon.client.lifecycle(STACK, { action: 'stop' }))
  expect((await daemon.container(STACK, 'web')).exitCode).toBe(7)
  await daemon.down(STACK)
})
