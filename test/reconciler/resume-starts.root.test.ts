/** After a crash of everything: restarts keep the order of depends_on. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'ordered'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

test('a dependent starts again when what it depends on is healthy', async () => {
  const common = {
    image: 'host:sh,coreutils',
    network_mode: 'none',
    stop_grace_period: '0s',
    restart: 'always',
  }
  await daemon.up(STACK, {
    services: {
      app: {
        ...common,
        command: ['sleep', '1000'],
        depends_on: { db: { condition: 'service_healthy', required: true } },
      },
      db: {
        ...common,
        command: ['sh', '-c', 'rm -f /tmp/ok; sleep 1; echo > /tmp/ok; exec sleep 1000'],
        healthcheck: { test: ['CMD', 'test', '-e', '/tmp/ok'], interval: '1s', retries: 60 },
      },
      once: { ...common, restart: 'no', command: ['true'] },
    },
  })
  const detail = async (service: string) =>
    daemon.client.container((await daemon.container(STACK, service)).id)
  const before = { app: await detail('app'), db: await detail('db') }
  await daemon.kill()
  for (const { pid } of [before.app, before.db]) process.kill(pid ?? 0, 'SIGKILL')
  await daemon.start()
  await eventually('both again', async () => {
    const [app, db] = [await detail('app'), await detail('db')]
    return [app, db].every(({ state }) => state === 'running') && app.pid !== before.app.pid
  })
  const events = []
  for await (const batch of daemon.client.events({
    stack: STACK,
    since: before.app.startedAt ?? '',
    follow: false,
  }))
    events.push(...batch.map(({ action, service }) => `${service ?? ''} ${action}`))
  const again = events.slice(events.lastIndexOf('db start'))
  expect(again.indexOf('db health_status: healthy')).toBeGreaterThan(0)
  expect(again.indexOf('app start')).toBeGreaterThan(again.indexOf('db health_status: healthy'))
  expect((await detail('once')).state).toBe('exited')
  await daemon.down(STACK)
})
