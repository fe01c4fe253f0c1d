/** Interfaces of containers that have ended, whose network namespace somebody keeps. */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'leaving'
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

function pairs(): string[] {
  const text = readFileSync(`/proc/${String(daemon.pid)}/net/dev`, 'utf8')
  return [...text.matchAll(/^\s*(tsv[^:]+):/gm)].map(([, name = '']) => name)
}

/** Brings a container up whose network namespace stays. @returns the first process, and what keeps the namespace */
async function upKept(more: Service): Promise<{ pid: number; fd: number }> {
  const service = { image: 'host:sleep', command: ['sleep', '600'], networks: { default: null } }
  await daemon.up(STACK, {
    services: { s: { ...service, stop_signal: 'SIGKILL', ...more } },
    networks: { default: { name: `${STACK}_default` } },
  })
  const { pid = 0 } = await daemon.container(STACK, 's')
  return { pid, fd: openSync(`/proc/${String(pid)}/ns/net`, 'r') }
}

test('go when it ends, and when it ends while no daemon is there', async () => {
  const first = await upKept({})
  expect(pairs()).toHaveLength(1)
  process.kill(first.pid, 'SIGKILL')
  await eventually('no pair', () => pairs().length === 0)

  const second = await upKept({})
  expect(pairs()).toHaveLength(1)
  await daemon.kill()
  process.kill(second.pid, 'SIGKILL')
  await daemon.start()
  await eventually('no pair', () => pairs().length === 0)
  for (const { fd } of [first, second]) closeSync(fd)
  await daemon.down(STACK)
})

test('stay when it starts again at once', async () => {
  const { pid, fd } = await upKept({ restart: 'always' })
  process.kill(pid, 'SIGKILL')
  await eventually('a successor', async () => {
    const { state, pid: now } = await daemon.container(STACK, 's')
    return state === 'running' && now !== pid
  })
  closeSync(fd)
  await new Promise((resolve) => setTimeout(resolve, 1500)) // longer than what is left is waited for
  expect(pairs()).toHaveLength(1)
  await daemon.down(STACK)
})
