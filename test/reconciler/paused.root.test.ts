/** Containers that are paused at a bad moment: nobody waits for them for ever. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { collect, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'paused'
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
  const failed = expect(up).rejects.toThrow('"paused-s-1" is paused')
  await eventually(
    'the container to run',
    async () => (await daemon.client.containers({ stack: STACK }))[0]?.state === 'running',
  )
  await act('pause')
  await failed
  await daemon.down(STACK)
})
