/** `init: true`: a first process of the engine's own that reaps, passes signals on and leaves as the program does. */
import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { collect, failureOf, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'init'
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

async function start(command: readonly string[], more: Service = {}): Promise<string> {
  const service = { image: 'host:sh,coreutils,grep', network_mode: 'none', init: true, command }
  await daemon.up(STACK, { services: { s: { ...service, ...more } } })
  return (await daemon.container(STACK, 's')).id
}

async function exitCode(): Promise<number | undefined> {
  await eventually('its end', async () => (await daemon.container(STACK, 's')).state === 'exited')
  return (await daemon.container(STACK, 's')).exitCode
}

describe('init', () => {
  test('is process 1; the program is its child, in a session of its own', async () => {
    const id = await start(['sleep', '1000'])
    expect(
      await daemon.sh(id, 'tr "\\0" " " </proc/1/cmdline; tr "\\0" " " </proc/2/cmdline'),
    ).toBe('tsstack-init sleep 1000')
    expect(await daemon.sh(id, 'cut -d" " -f4,6 /proc/2/stat')).toBe('1 2')
    expect(await daemon.sh(id, 'ls /proc/1/fd')).toBe('0\n1\n2')
  })

  test('reaps orphans', async () => {
    const id = await start(['sleep', '1000'])
    await daemon.sh(id, 'for i in 1 2 3 4 5; do (sleep 0.05 &) ; done')
    await eventually('no process but init, sleep and those that look', async () => {
      const { stdout } = await daemon.exec(id, ['sh', '-c', 'grep -l . /proc/[0-9]*/stat'])
      return stdout.trim().split('\n').length <= 4
    })
    expect(
      await daemon.sh(id, 'grep -c "^State:.Z" /proc/[0-9]*/status | grep -c ":1$" || :'),
    ).toBe('0')
  })

  test.each([
    ['exit 0', 0],
    ['exit 42', 42],
    ['kill -9 $$', 137],
    ['kill -15 $$', 143],
  ])('leaves as %j does', async (script, code) => {
    await start(['sh', '-c', script])
    expect(await exitCode()).toBe(code)
  })

  test('passes signals on', async () => {
    await start([
      'sh',
      '-c',
      "trap 'echo heard; exit 7' USR1; echo up; while :; do sleep 0.02; done",
    ])
    await eventually('the trap', async () => (await daemon.logs(STACK)).includes('up'))
    const { id } = await daemon.container(STACK, 's')
    await daemon.client.killContainer(id, 'SIGUSR1')
    expect(await exitCode()).toBe(7)
    expect(await daemon.logs(STACK)).toContain('heard')
  })

  test('a program without a handler hears its stop signal, which it would not as process 1', async () => {
    await start(['sleep', '1000'], { stop_grace_period: '60s' })
    await collect(daemon.client.lifecycle(STACK, { action: 'stop' }))
    expect(await exitCode()).toBe(143)
  })

  test('a program that is not there is told of, and nothing stays', async () => {
    const failure = await failureOf(start(['no-such-program']))
    expect(failure.message).toContain('no-such-program')
    expect((await daemon.container(STACK, 's')).exitCode).toBe(127)
  })

  test('with a terminal, Ctrl-C reaches the program once', async () => {
    const script = "trap 'echo once' INT; echo up; while :; do sleep 0.02; done"
    const id = await start(['sh', '-c', script], { tty: true, stdin_open: true })
    await eventually('the trap', async () => (await daemon.logs(STACK)).join('').includes('up'))
    const session = await daemon.client.attach(id)
    session.write(Buffer.from('\x03'))
    await eventually('the answer', async () => (await daemon.logs(STACK)).join('').includes('once'))
    session.close()
    expect((await daemon.logs(STACK)).join('').split('once').length - 1).toBe(1)
  })

  test('its program can not be changed from inside', async () => {
    const id = await start(['sleep', '1000'])
    expect((await daemon.exec(id, ['sh', '-c', 'echo x >/proc/1/exe'])).exitCode).not.toBe(0)
    expect(
      readFileSync(`/proc/${String((await daemon.container(STACK, 's')).pid)}/exe`).length,
    ).toBeLessThan(400)
  })
})
