/** examples/library as its user runs it: a test of its own, with Vitest, that brings a stack up through the library. */
import path from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { down, loadStack, plan, TsstackError, up } from '../../src/index.ts'
import { failureOf, startDaemonFixture } from '../daemon-fixture.ts'

const ROOT = path.join(import.meta.dirname, '../..')
const EXAMPLE = path.join(ROOT, 'examples/library')

test('the example test passes, and nothing is left of its stacks', async () => {
  const daemon = await startDaemonFixture()
  try {
    const vitest = path.join(ROOT, 'node_modules/.bin/vitest')
    const { exitCode, all } = await execa({
      all: true,
      reject: false,
      env: { TSSTACK_HOST: `unix://${daemon.socket}` },
    })`nsenter --net=${daemon.netns} ${process.execPath} ${vitest} run --root ${EXAMPLE}`
    expect({ exitCode, all }).toMatchObject({ exitCode: 0 })
    expect(await daemon.client.stacks()).toEqual([])
  } finally {
    await daemon.close()
  }
})

test('up() returns when all is ready, says why when it will not be, and goes by await using', async () => {
  const daemon = await startDaemonFixture()
  const env = { ...process.env, TSSTACK_HOST: `unix://${daemon.socket}` }
  const sleeper = { image: 'host:sh,coreutils', command: 'sleep 600', stop_grace_period: '0s' }
  try {
    const healthcheck = { test: ['CMD', 'false'], interval: '100ms', retries: 1 }
    const stack = { name: 'lib', services: { a: sleeper }, volumes: { data: {} } }
    const failing = { ...stack, services: { a: { ...sleeper, healthcheck } } }
    const error = await failureOf(up({ stack: failing, env, waitTimeoutSeconds: 60 }))
    expect(error).toBeInstanceOf(TsstackError)
    expect(error.code).toBe('FAILED_PRECONDITION')
    await down({ name: 'lib', env })

    expect((await plan({ stack, env })).plan.operations.length).toBeGreaterThan(0)
    {
      await using running = await up({ stack, env })
      expect(running.changed).toBe(true)
      expect(running.name).toBe('lib')
      const [only, ...others] = await running.containers('a')
      expect(only?.state).toBe('running')
      expect(others).toEqual([])
      const said = await running.exec('a', ['cat'], { input: 'x'.repeat(2 << 20) })
      expect(said.exitCode).toBe(0)
      expect(said.stdout).toHaveLength(2 << 20)
      expect((await failureOf(running.address('a', 80))).code).toBe('NOT_FOUND')
      expect((await up({ stack, env })).changed).toBe(false)
    }
    expect(await daemon.client.containers({ all: true })).toEqual([])
    const wrong = { stack: { services: { a: { imagge: 'x' } } } } as object
    expect((await failureOf(loadStack(wrong))).message).toContain("'imagge' not allowed")
  } finally {
    await daemon.close()
  }
})
