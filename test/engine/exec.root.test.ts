/** exec, health checks, stopping, restarting, pausing: a running container, through a real daemon. */
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerSummary } from '../../src/api/types.ts'
import type { Service } from '../../src/spec/stack.ts'
import {
  collect,
  failureOf,
  runSession,
  startDaemonFixture,
  type DaemonFixture,
} from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const IMAGE = 'host:sh,coreutils,grep'
const STACK = 'running'
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

async function start(service: Service = {}): Promise<string> {
  await daemon.up(STACK, {
    services: { s: { image: IMAGE, command: ['sleep', '1000'], network_mode: 'none', ...service } },
  })
  return (await daemon.container(STACK, 's')).id
}

const state = async (): Promise<ContainerSummary> => daemon.container(STACK, 's')
const until = async (
  what: string,
  holds: (container: ContainerSummary) => boolean,
): Promise<ContainerSummary> =>
  eventually(what, async () => {
    const container = await state()
    return holds(container) && container
  })
const openFiles = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length

async function lifecycle(
  action: 'start' | 'stop' | 'restart' | 'kill' | 'pause' | 'unpause',
  options = {},
): Promise<void> {
  await collect(daemon.client.lifecycle(STACK, { action, ...options }))
}

describe('exec', () => {
  test('50 at once: each its own output and exit code, no descriptor left', async () => {
    const id = await start()
    await daemon.exec(id, ['true'])
    const before = openFiles()
    const results = await Promise.all(
      Array.from({ length: 50 }, async (_, index) =>
        daemon.exec(id, ['sh', '-c', `echo out ${index}; echo err ${index} >&2; exit ${index}`]),
      ),
    )
    expect(results).toEqual(
      results.map((_, index) => ({
        exitCode: index,
        stdout: `out ${index}\n`,
        stderr: `err ${index}\n`,
      })),
    )
    await eventually('the same descriptors as before', () => openFiles() <= before)
    expect(await daemon.sh(id, 'set -- /proc/[0-9]*; echo $#')).toBe('2') // sleep, sh
  })

  test('standard input to its end, a mebibyte and back', async () => {
    const id = await start()
    const input = Buffer.alloc(1 << 20, 'tsstack ')
    const { stdout, exitCode } = await daemon.exec(id, ['cat'], { input })
    expect([exitCode, stdout === input.toString()]).toEqual([0, true])
    expect((await daemon.exec(id, ['wc', '-c'], { input: '' })).stdout).toBe('0\n')
  })

  test('without standard input it reads nothing', async () => {
    expect(await daemon.exec(await start(), ['cat'])).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: '',
    })
  })

  test('environment, user, working directory; otherwise those of the container', async () => {
    const id = await start({ environment: { ONE: '1' }, working_dir: '/tmp', user: '1000' })
    expect(await daemon.sh(id, 'echo $ONE $TWO; pwd; id -u')).toBe('1\n/tmp\n1000')
    const { stdout } = await daemon.exec(id, ['sh', '-c', 'echo $ONE $TWO $HOME; pwd; id -u'], {
      environment: { TWO: '2' },
      workingDir: '/etc',
      user: 'root',
    })
    expect(stdout).toBe('1 2 /root\n/etc\n0\n')
  })

  test('a terminal: its size, a change of it, and Ctrl-C', async () => {
    const id = await start()
    const first = await daemon.client.exec(id, {
      command: ['sh', '-c', 'stty size; tty'],
      tty: true,
      stdin: true,
      size: { columns: 101, rows: 33 },
    })
    expect((await runSession(first)).stdout).toBe('33 101\r\n/dev/pts/0\r\n')
    const session = await daemon.client.exec(id, {
      command: [
        'sh',
        '-c',
        "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.01; done",
      ],
      tty: true,
      stdin: true,
    })
    let output = ''
    const end = session.run({
      onStdout: (bytes) => {
        output += bytes.toString()
      },
      onStderr: () => undefined,
    })
    await eventually('the trap', () => output.includes('ready'))
    session.resize({ columns: 55, rows: 44 })
    expect((await end).exitCode).toBe(5)
    expect(output).toContain('44 55')
    const other = await daemon.client.exec(id, {
      command: ['sleep', '1000'],
      tty: true,
      stdin: true,
    })
    const interrupted = other.run({ onStdout: () => undefined, onStderr: () => undefined })
    other.write(Buffer.from('\x03'))
    expect((await interrupted).exitCode).toBe(130)
  })

  test.each([
    [['no-such-program'], 'Cannot execute "no-such-program": it is not in the image'],
    [['/etc/passwd'], 'permission denied'],
    [[''], 'Cannot execute ""'],
  ])('a program that can not be run: %j', async (command, message) => {
    const failure = await failureOf(daemon.exec(await start(), command))
    expect(failure.message).toContain(message)
  })

  test('into a container that does not run, that is paused, or that is not there', async () => {
    const id = await start()
    await lifecycle('pause')
    expect((await failureOf(daemon.exec(id, ['true']))).message).toContain('it is paused')
    await lifecycle('unpause')
    await lifecycle('kill')
    await until('its end', (container) => container.state === 'exited')
    const failure = await failureOf(daemon.exec(id, ['true']))
    expect([failure.code, failure.message]).toEqual([
      'FAILED_PRECONDITION',
      expect.stringContaining('it is not running'),
    ])
    expect((await failureOf(daemon.exec('f'.repeat(64), ['true']))).code).toBe('NOT_FOUND')
  })

  test('a container that dies meanwhile ends what runs in it, and a start into it is refused', async () => {
    const id = await start()
    const running = daemon.exec(id, ['sleep', '4711'])
    await eventually('the program', async () =>
      (await daemon.sh(id, 'cat /proc/[0-9]*/cmdline')).includes('4711'),
    )
    const storm = Array.from({ length: 30 }, async () =>
      daemon.exec(id, ['true']).then(
        ({ exitCode }) => exitCode,
        (error: unknown) => (error as { code: string }).code,
      ),
    )
    await daemon.client.killContainer(id, 'SIGKILL')
    expect((await running).exitCode).toBe(137)
    for (const outcome of await Promise.all(storm))
      expect([0, 137, 'FAILED_PRECONDITION']).toContain(outcome)
  })

  test('a client that vanishes leaves no process and no descriptor behind', async () => {
    const id = await start()
    await daemon.exec(id, ['true'])
    const before = openFiles()
    const header = Buffer.from(
      JSON.stringify({ command: ['sleep', '4242'], tty: false, stdin: true }),
    ).toString('base64')
    const request = `POST /v1/containers/${id}/exec HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: tsstack\r\nx-tsstack-exec: ${header}\r\n\r\n`
    for (const delayMs of [0, 0, 1, 2, 4, 8, 30]) {
      const socket = connect(daemon.socket)
      socket.on('error', () => undefined)
      await new Promise<void>((resolve) =>
        socket.write(request, () => {
          resolve()
        }),
      )
      await new Promise((resolve) => setTimeout(resolve, delayMs)) // the moment at which it goes
      socket.destroy()
    }
    await eventually(
      'the end of all',
      async () => (await daemon.client.top(id)).processes.length === 1,
    )
    await eventually('the same descriptors as before', () => openFiles() <= before)
  })

  test.each(['exec', 'attach'] as const)(
    '%s: a program that never reads does not fill the memory of the daemon',
    async (kind) => {
      const id = await start({ stdin_open: true })
      const command = ['sleep', '1000']
      const session = await (kind === 'exec'
        ? daemon.client.exec(id, { command, tty: false, stdin: true })
        : daemon.client.attach(id))
      const rss = (): number =>
        Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1])
      const before = rss()
      let isFull = false
      for (let sent = 0; sent < 200 && !isFull; sent++) {
        if (session.write(Buffer.alloc(1 << 20, 1))) continue
        isFull = !(await Promise.race([
          new Promise<boolean>((resolve) => {
            session.onDrain(() => {
              resolve(true)
            })
          }),
          new Promise<boolean>((resolve) => setTimeout(resolve, 500, false)),
        ]))
      }
      expect(isFull).toBe(true)
      expect((rss() - before) / 1024).toBeLessThan(64)
      session.close()
      await eventually(
        'the end of the program',
        async () => (await daemon.client.top(id)).processes.length === 1,
      )
    },
  )
})

describe('stopping', () => {
  test('a first process without a handler is killed at once', async () => {
    await start({ stop_grace_period: '20s' })
    const before = performance.now()
    await lifecycle('stop')
    expect(performance.now() - before).toBeLessThan(3000)
    expect((await state()).exitCode).toBe(137)
  })

  test('one with a handler gets its signal and its time', async () => {
    await start({
      command: ['sh', '-c', "trap 'echo bye; exit 3' USR1; echo up; while :; do sleep 0.05; done"],
      stop_signal: 'SIGUSR1',
      stop_grace_period: '10s',
    })
    await eventually('the trap', async () => (await daemon.logs(STACK)).includes('up'))
    await lifecycle('stop')
    expect([(await state()).exitCode, await daemon.logs(STACK)]).toEqual([3, ['up', 'bye']])
  })

  test('and not more than that', async () => {
    await start({
      command: ['sh', '-c', "trap 'echo no' TERM; echo up; while :; do sleep 0.05; done"],
      stop_grace_period: '300ms',
    })
    await eventually('the trap', async () => (await daemon.logs(STACK)).includes('up'))
    const before = performance.now()
    await lifecycle('stop')
    expect(performance.now() - before).toBeGreaterThan(290)
    expect([(await state()).exitCode, (await daemon.logs(STACK)).includes('no')]).toEqual([
      137,
      true,
    ])
  })

  test('pause stops it in its tracks, unpause lets it go on', async () => {
    const id = await start({
      command: ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done'],
    })
    await eventually('output', async () => (await daemon.logs(STACK)).length > 5)
    await lifecycle('pause')
    expect((await state()).state).toBe('paused')
    const count = (await daemon.logs(STACK)).length
    await new Promise((resolve) => setTimeout(resolve, 200)) // nothing must happen meanwhile
    expect((await daemon.logs(STACK)).length).toBeLessThanOrEqual(count + 1)
    await lifecycle('unpause')
    await eventually('more output', async () => (await daemon.logs(STACK)).length > count + 5)
    await lifecycle('pause')
    await daemon.client.removeContainer(id, { force: true })
    await daemon.down(STACK)
  })

  test('start right after a kill starts it', async () => {
    const id = await start()
    for (let round = 0; round < 5; round++) {
      await daemon.client.killContainer(id, 'SIGKILL')
      await daemon.client.startContainer(id)
      await daemon.exec(id, ['true'])
      expect((await state()).state).toBe('running')
    }
  })
})

describe('restart', () => {
  test('on-failure: as often as asked for, with growing pauses, then no more', async () => {
    await start({ command: ['sh', '-c', 'echo run; exit 4'], restart: 'on-failure:3' })
    const ended = await until(
      'its last end',
      (container) => container.state === 'exited' && container.restartCount === 3,
    )
    expect(ended.exitCode).toBe(4)
    const times: number[] = []
    for await (const batch of daemon.client.logs(STACK, {}))
      times.push(...batch.map(({ time }) => Date.parse(time)))
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
    expect(times.length).toBe(4)
    for (const [index, least] of [0, 50, 100].entries())
      expect(gaps[index]).toBeGreaterThanOrEqual(least - 5)
  })

  test('on-failure: not after a success', async () => {
    await start({ command: ['sh', '-c', 'exit 0'], restart: 'on-failure' })
    expect((await until('its end', (container) => container.state === 'exited')).restartCount).toBe(
      0,
    )
  })

  test('always: after a success too, but not after a stop', async () => {
    await start({ command: ['sh', '-c', 'exit 0'], restart: 'always' })
    await until('a restart', (container) => container.restartCount >= 1)
    await lifecycle('stop')
    expect((await state()).state).toBe('exited')
    const { restartCount } = await state()
    await new Promise((resolve) => setTimeout(resolve, 500)) // nothing must happen meanwhile
    expect((await state()).restartCount).toBe(restartCount)
  })
})

describe('health checks', () => {
  const check = (test: readonly string[], more: Service['healthcheck'] = {}): Service => ({
    healthcheck: { test, interval: '100ms', timeout: '2s', retries: 2, ...more },
  })

  test('healthy, then unhealthy, with what it printed', async () => {
    const id = await start(check(['CMD-SHELL', 'echo looked; test ! -e /tmp/broken']))
    await until('health', ({ health }) => health === 'healthy')
    expect((await daemon.client.container(id)).healthLog.at(-1)).toMatchObject({
      exitCode: 0,
      output: 'looked\n',
    })
    await daemon.sh(id, 'touch /tmp/broken')
    await until('illness', ({ health }) => health === 'unhealthy')
    await daemon.sh(id, 'rm /tmp/broken')
    await until('health', ({ health }) => health === 'healthy')
  })

  test('one that takes too long fails, and is not left behind', async () => {
    const id = await start(check(['CMD', 'sleep', '777'], { timeout: '100ms', retries: 1 }))
    await until('illness', ({ health }) => health === 'unhealthy')
    expect((await daemon.client.container(id)).healthLog.at(-1)?.output).toContain(
      'longer than 100 ms',
    )
    await eventually(
      'the end of checks',
      async () => (await daemon.client.top(id)).processes.length === 1,
    )
  })

  test('none where it is disabled', async () => {
    await start({ healthcheck: { disable: true, test: ['CMD', 'false'] } })
    expect((await state()).health).toBe('none')
  })
})
