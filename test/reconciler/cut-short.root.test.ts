/**
 * What was asked for and cut short, by a daemon that is killed in it, is gone on with, or written down as failed. One daemon
 * is killed in the middle of all of it; each test looks at what the next one made of one stack.
 */
import { existsSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ContainerSummary } from '../../src/api/types.ts'
import type { Service } from '../../src/spec/stack.ts'
import {
  collect,
  failureOf,
  startDaemonFixture,
  upRequest,
  type DaemonFixture,
} from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const FOREVER: Service = {
  image: 'host:sh,sleep,cat',
  network_mode: 'none',
  command: ['sleep', '600'],
  stop_signal: 'KILL',
}
/** Takes no notice of the first request to stop. */
const STUBBORN: Service = {
  ...FOREVER,
  stop_signal: 'TERM',
  stop_grace_period: '60s',
  command: [
    'sh',
    '-c',
    'trap "trap exit TERM; echo asked" TERM; echo ready; while :; do sleep 0.05; done',
  ],
}
/** Its start takes until the hook is killed. */
const SLOW: Service = { ...FOREVER, post_start: [{ command: ['sleep', '600'] }] }
const JOB: Service = {
  ...FOREVER,
  command: ['cat', '/proc/version'],
  'x-tsstack': { schedule: { cron: '0 0 29 2 *' } },
}
const CHANGED = { a: { ...FOREVER, user: '1' }, b: { ...SLOW, user: '1' } }
const BAD: Service = {
  ...FOREVER,
  command: ['/no/such/program'],
  depends_on: { slow: { condition: 'service_started', required: true } },
}

let daemon: DaemonFixture
/** Of before. */
const known = { untouched: {} as ContainerSummary, unbegun: '' }

beforeAll(async () => {
  daemon = await startDaemonFixture()
  await Promise.all(PREPARATIONS.map((prepare) => prepare()))
  await daemon.kill()
  await Promise.all(ends)
  const { pid = 0 } = restarting
  process.kill(pid, 'SIGTERM')
  await eventually(
    'the end of what was to start again',
    () => !existsSync(`/proc/${String(pid)}/ns/net`),
  )
  await daemon.start()
})
afterAll(async () => {
  await collect(daemon.client.lifecycle('restart', { action: 'kill' }))
  await daemon.close()
})

let restarting: ContainerSummary

/** Ends of what was begun. */
const ends: Promise<unknown>[] = []

/** Each begins something, and resolves in the middle of it. */
const PREPARATIONS: readonly (() => Promise<void>)[] = [
  async () => {
    await daemon.up('partial', { services: { a: FOREVER, b: FOREVER } })
    known.untouched = await daemon.container('partial', 'a')
    const first = await daemon.container('partial', 'b')
    return during(daemon.up('partial', { services: CHANGED }, { services: ['b'] }), async () => {
      const b = await daemon.container('partial', 'b').catch(() => first)
      return b.id !== first.id && b.state === 'running'
    })
  },
  () =>
    during(daemon.up('bad', { services: { slow: SLOW, bad: BAD } }), async () => {
      const all = await daemon.client.containers({ stack: 'bad', all: true })
      return all.some(({ service, state }) => service === 'slow' && state === 'running')
    }),
  () =>
    during(
      daemon.up('observed', { services: { slow: SLOW }, 'x-tsstack': { reconcile: 'observe' } }),
      async () => (await daemon.client.containers({ stack: 'observed' })).length > 0,
    ),
  async () => {
    await stubborn('down', { a: FOREVER, b: STUBBORN })
    return during(daemon.down('down', { timeoutSeconds: 60 }), () => isLogged('down', 'asked'))
  },
  async () => {
    await stubborn('stop', { a: STUBBORN })
    const stop = collect(daemon.client.lifecycle('stop', { action: 'stop' }))
    return during(stop, () => isLogged('stop', 'asked'))
  },
  async () => {
    await stubborn('restart', { a: STUBBORN })
    restarting = await daemon.container('restart', 'a')
    const restart = collect(daemon.client.lifecycle('restart', { action: 'restart' }))
    return during(restart, () => isLogged('restart', 'asked'))
  },
  async () => {
    await daemon.up('job', {
      services: { job: { ...JOB, pre_start: [{ command: ['sleep', '600'] }] } },
    })
    return during(daemon.client.runJob('job', 'job'), async () => {
      const all = await daemon.client.containers({ stack: 'job', all: true })
      return all.some(({ state }) => state === 'running') // the hook's
    })
  },
  async () => {
    await daemon.up('run', { services: { a: FOREVER } })
    const { options, ...source } = upRequest('run', { services: { a: FOREVER } })
    const request = { ...source, service: 'a', tty: false, stdin: false, remove: true }
    known.unbegun = (await daemon.client.run('run', request)).id
  },
]

async function during(work: Promise<unknown>, when: () => Promise<boolean>): Promise<void> {
  ends.push(work.catch((error: unknown) => error))
  await eventually('the middle of it', when)
}

async function stubborn(stack: string, services: Record<string, Service>): Promise<void> {
  await daemon.up(stack, { services })
  await eventually('a handler', () => isLogged(stack, 'ready'))
}

async function isLogged(stack: string, word: string): Promise<boolean> {
  return (await daemon.logs(stack)).some((line) => line.includes(word))
}

async function outcomeOf(stack: string): Promise<{ status: string }> {
  return eventually('an outcome', async () => {
    const [newest] = await daemon.client.revisions(stack)
    return newest?.outcome.status === 'applying' ? undefined : newest?.outcome
  })
}

test('an up of one service is gone on with, and leaves the others alone', async () => {
  expect(await outcomeOf('partial')).toMatchObject({ status: 'succeeded' })
  const { id, pid } = known.untouched
  expect(await daemon.container('partial', 'a')).toMatchObject({ id, pid })
})

test('an up whose rest fails has failed, and is not tried again', async () => {
  expect((await outcomeOf('bad')).status).toBe('failed')
  const { conditions } = await daemon.client.status('bad')
  const isTrue = conditions.filter(({ status }) => status === 'True').map(({ type }) => type)
  expect(isTrue).toEqual(['Degraded', 'Stalled'])
})

test('an up has failed where the loop may only observe', async () => {
  expect(await outcomeOf('observed')).toMatchObject({ status: 'failed' })
})

test('a down is gone on with: nothing comes back', async () => {
  await eventually('the end of the stack', async () => {
    const stacks = await daemon.client.stacks()
    return stacks.every(({ name }) => name !== 'down')
  })
  const since = '2000-01-01T00:00:00Z'
  const events = await collect(daemon.client.events({ stack: 'down', follow: false, since }))
  const ofA = events.filter(({ service }) => service === 'a').map(({ action }) => action)
  expect(ofA).toEqual(['create', 'start', 'kill', 'die', 'destroy'])
})

test('a stop is gone on with, and a restart ends with a start', async () => {
  const stateOf = async (stack: string): Promise<string> =>
    (await daemon.container(stack, 'a')).state
  await eventually('its end', async () => (await stateOf('stop')) === 'exited')
  await eventually('its start', async () => (await stateOf('restart')) === 'running')
})

test('a run of a job that had not begun has failed, and the next one comes', async () => {
  const runs = async (): Promise<string[]> =>
    (await daemon.client.jobHistory('job')).map(({ state }) => state)
  expect(await runs()).toEqual(['failed'])
  await daemon.up('job', { services: { job: JOB } })
  await daemon.client.runJob('job', 'job')
  await eventually('its end', async () => (await runs())[0] === 'succeeded')
})

test('what was made for one run and never begun is gone', async () => {
  expect((await failureOf(daemon.client.container(known.unbegun))).code).toBe('NOT_FOUND')
})
