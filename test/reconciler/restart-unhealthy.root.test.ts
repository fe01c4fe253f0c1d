/** x-tsstack.restart_on: what hangs is started again. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'hanging'

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

/** Healthy as long as /tmp/ok is there, which each start makes. */
async function start(more: Service): Promise<{ readonly id: string; readonly pid: number }> {
  await daemon.up(
    STACK,
    {
      services: {
        s: {
          image: 'host:sh,coreutils',
          command: ['sh', '-c', 'echo > /tmp/ok; exec sleep 1000'],
          network_mode: 'none',
          stop_grace_period: '0s',
          healthcheck: { test: ['CMD', 'test', '-e', '/tmp/ok'], interval: '100ms', retries: 2 },
          ...more,
        },
      },
    },
    { wait: true },
  )
  const { id } = await daemon.container(STACK, 's')
  return { id, pid: (await daemon.client.container(id)).pid ?? 0 }
}

async function health(id: string): Promise<string | undefined> {
  return (await daemon.client.container(id)).health
}

test.each(['no', 'always'])(
  'with restart: %s an unhealthy container runs anew',
  async (restart) => {
    const { id, pid } = await start({ restart, 'x-tsstack': { restart_on: 'unhealthy' } })
    await daemon.sh(id, 'rm /tmp/ok')
    await eventually('another process', async () => {
      const container = await daemon.client.container(id)
      return container.state === 'running' && container.pid !== pid
    })
    await eventually('health', async () => (await health(id)) === 'healthy')
  },
)

test('without it an unhealthy container is left alone', async () => {
  const { id, pid } = await start({ restart: 'always' })
  await daemon.sh(id, 'rm /tmp/ok')
  await eventually('bad health', async () => (await health(id)) === 'unhealthy')
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect((await daemon.client.container(id)).pid).toBe(pid)
})
