/** Renewal in place: one process, another program; neither containers nor clients notice. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const IMAGE = 'host:sh,coreutils'
const STACK = 'renewed'
const RENEWALS = 3

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})
afterEach(async () => {
  await daemon.down(STACK, { volumes: true })
})

async function renew(): Promise<void> {
  const before = await daemon.client.version()
  process.kill(daemon.pid, 'SIGUSR2')
  await eventually('a renewed daemon', async () => {
    const { startedAt, pid } = await daemon.client.version()
    expect(pid).toBe(before.pid)
    return startedAt !== before.startedAt
  })
}

function service(command: string, more: Service = {}): Service {
  return {
    image: IMAGE,
    command: ['sh', '-c', command],
    network_mode: 'none',
    stop_grace_period: '0s',
    ...more,
  }
}

test('every request is answered, and the container goes on', async () => {
  await daemon.up(STACK, { services: { s: service('sleep 1000') } })
  const before = await daemon.client.container((await daemon.container(STACK, 's')).id)
  const stop = new AbortController()
  let answered = 0
  const asking = Array.from({ length: 8 }, async () => {
    while (!stop.signal.aborted) {
      await daemon.client.containers({ stack: STACK, all: true })
      answered++
    }
  })
  for (let round = 0; round < RENEWALS; round++) await renew()
  stop.abort()
  await Promise.all(asking)
  expect(answered).toBeGreaterThan(RENEWALS)
  expect(await daemon.client.container(before.id)).toMatchObject({
    pid: before.pid,
    state: 'running',
  })
})

test('who follows a log gets each line once', async () => {
  const count = 'i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo $i; sleep 0.01; done; sleep 1000'
  await daemon.up(STACK, { services: { s: service(count) } })
  const stop = new AbortController()
  const lines: string[] = []
  const following = (async () => {
    for await (const batch of daemon.client.logs(STACK, { follow: true }, stop.signal)) {
      lines.push(...batch.map(({ line }) => line))
      if (lines.length >= 400) return
    }
  })()
  await eventually('first lines', () => lines.length > 20)
  for (let round = 0; round < RENEWALS; round++) await renew()
  await following
  expect(lines).toEqual(Array.from({ length: 400 }, (_, index) => String(index + 1)))
  stop.abort()
})

test('a start that is being waited for is answered before', async () => {
  const healthcheck = { test: ['CMD', 'test', '-e', '/tmp/ready'], interval: '100ms', retries: 600 }
  const services = { s: service('sleep 2; echo > /tmp/ready; sleep 1000', { healthcheck }) }
  const up = daemon.up(STACK, { services }, { wait: true })
  await eventually('a running container', async () => {
    const all = await daemon.client.containers({ stack: STACK })
    return all.length > 0
  })
  await renew()
  expect((await up).at(-1)).toMatchObject({ type: 'done' })
})

test('exit codes are learned, and restart policies kept', async () => {
  await daemon.up(STACK, {
    services: {
      once: service('while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 7'),
      again: service('sleep 1000', { restart: 'always' }),
    },
  })
  await renew()
  const once = await daemon.container(STACK, 'once')
  await daemon.sh(once.id, 'echo > /tmp/go')
  await eventually(
    'the exit',
    async () => (await daemon.container(STACK, 'once')).state === 'exited',
  )
  expect((await daemon.container(STACK, 'once')).exitCode).toBe(7)
  const again = await daemon.client.container((await daemon.container(STACK, 'again')).id)
  process.kill(again.pid ?? 0, 'SIGKILL')
  await eventually('a restart', async () => {
    const { pid } = await daemon.client.container(again.id)
    return pid !== undefined && pid !== again.pid
  })
})
