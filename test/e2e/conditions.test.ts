/** How a stack is, as a person asks for it: `status`, `status --watch`, `wait --for`, and what was done by hand. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import type { StackStatus } from '../../src/api/status-types.ts'
import { newProject, type CommandLine } from './command-line.ts'

const STACK = `
services:
  web:
    image: host:sh,coreutils
    command: [sleep, infinity]
    init: true
    healthcheck: { test: [CMD, test, -e, /ok], interval: 100ms, retries: 2 }
  side: { image: 'host:sh,coreutils', command: [sleep, infinity], init: true }
`

let daemon: DaemonFixture
let tsstack: CommandLine

beforeAll(async () => {
  daemon = await startDaemonFixture()
  tsstack = newProject(daemon, 'conditions', { 'stack.yaml': STACK })
})
afterAll(async () => {
  await daemon.close()
})

async function statusOf(): Promise<StackStatus> {
  return JSON.parse(await tsstack.ok('status --json')) as StackStatus
}

test('conditions come with reason, message and revision; wait ends with the one it waits for', async () => {
  await tsstack.ok('up -d')
  const watch = tsstack.start('status --watch --json')
  const late = await tsstack.run('wait --for condition=Ready --timeout 1')
  expect(late.exitCode).toBe(1)
  expect(late.stderr).toContain('Cannot wait for Ready of stack "conditions" any longer')

  const ready = tsstack.run('wait --for condition=Ready --timeout 60')
  await tsstack.ok('exec web touch /ok')
  expect((await ready).exitCode).toBe(0)
  const status = await statusOf()
  expect(status.conditions).toContainEqual(
    expect.objectContaining({ type: 'Ready', status: 'True', observedRevision: 1 }),
  )

  await tsstack.ok('exec web rm /ok')
  await tsstack.ok('wait --for condition=Degraded --timeout 60 web')
  const { services } = await statusOf()
  const degraded = services
    .find(({ name }) => name === 'web')
    ?.conditions.find(({ type }) => type === 'Degraded')
  expect(degraded).toMatchObject({ status: 'True', observedRevision: 1 })
  expect(degraded?.reason).toMatch(/^[A-Z][A-Za-z]+$/)
  expect(degraded?.message).toContain('unhealthy')

  await watch.untilOutput('"Degraded","status":"True"')
  expect(watch.output()).toContain('"Ready","status":"True"')
  watch.signal('SIGINT')
  await watch.exitCode
})

test('what is done by hand is shown with who did it, and is not undone until it ends', async () => {
  const lines = await tsstack.run(['stop', '--reason', 'two\nlines', 'side'])
  expect(lines.stderr).toContain('reason: has to be one line')
  await tsstack.ok('stop --for 1h --reason mouse side')
  const stopped = (await statusOf()).services.find(({ name }) => name === 'side')
  expect(stopped).toMatchObject({
    running: 0,
    override: { kind: 'stopped', author: 'root', reason: 'mouse' },
  })
  expect(Date.parse(stopped?.override?.until ?? '')).toBeGreaterThan(Date.now())
  expect(await tsstack.ok('status')).toMatch(
    /side +0\/1 +Degraded \(StoppedByHand\) +stopped by root, for 59 minutes more: mouse/,
  )
  const nobody = await tsstack.run('wait --for Ready sidee')
  expect(nobody.stderr).toContain('did you mean "side"?')

  await tsstack.ok('suspend --for 1h --reason cat conditions')
  expect((await statusOf()).suspended).toMatchObject({ author: 'root' })
  await tsstack.ok('resume conditions')
  expect((await statusOf()).suspended).toBeUndefined()

  const told = await tsstack.ok('events --since 1h --until 0s --filter type=stack')
  expect(told).toMatch(/stack revision_succeeded conditions \(author=root, revision=1\)/)
  expect(told).toMatch(
    /stack override conditions \(author=root, kind=stopped, reason=mouse, until=/,
  )
  expect(told).toMatch(/stack suspend conditions \(author=root, reason=cat, until=/)

  await tsstack.ok('start side')
  const back = (await statusOf()).services.find(({ name }) => name === 'side')
  expect(back).toMatchObject({ running: 1 })
  expect(back?.override).toBeUndefined()
  await tsstack.ok('down')
})
