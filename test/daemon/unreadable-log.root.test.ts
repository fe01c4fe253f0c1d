/** A log that can't be read ends the request that asks for it, and nobody else. */
import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { collect, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'

const STACK = 'unreadable'
const IDLE: Service = {
  image: 'host:sh,coreutils',
  command: ['sleep', 'infinity'],
  stop_signal: 'KILL',
  network_mode: 'none',
}
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

test.each([true, false])('followed: %s', async (follow) => {
  await daemon.up(STACK, { services: { web: IDLE, other: IDLE } })
  const { pid } = daemon
  const { id } = await daemon.container(STACK, 'web')
  const log = path.join(daemon.stateDir, 'containers', id, 'json.log')
  rmSync(log)
  mkdirSync(log)
  await expect(collect(daemon.client.logs(STACK, { follow }))).rejects.toThrow('EISDIR')
  expect((await daemon.client.version()).version).toBeDefined()
  expect(daemon.pid).toBe(pid)
  await daemon.down(STACK)
})
