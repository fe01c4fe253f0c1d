/** The daemon under a service manager: the protocols of man 3 sd_listen_fds and man 3 sd_notify, without systemd. */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { connect } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { syscall, trySyscall } from '../../src/kernel/libc.ts'
import { listenOnPath, setInheritable } from '../../src/kernel/unix-socket.ts'
import { eventually } from '../eventually.ts'

const PROGRAM = path.join(import.meta.dirname, '../../tsstack')
const LOOPBACK = path.join(import.meta.dirname, '../fixtures/loopback-up.ts')
const AF_UNIX = 1
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
const MSG_DONTWAIT = 0x40

let home: string
let daemon: ChildProcess
let socketFd: number
let notifyFd: number

beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'tsstack-service-'))
  socketFd = listenOnPath(path.join(home, 'tsstack.sock'))
  notifyFd = bindDatagrams(path.join(home, 'notify'))
})
afterEach(async () => {
  if (daemon.exitCode === null) {
    daemon.kill('SIGKILL')
    await once(daemon, 'close')
  }
  closeSync(socketFd)
  closeSync(notifyFd)
  rmSync(home, { recursive: true, force: true })
})

function bindDatagrams(file: string): number {
  const fd = syscall('socket', AF_UNIX, SOCK_DGRAM_CLOEXEC, 0)
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(`${file}\0`)])
  syscall('bind', fd, address, address.length)
  return fd
}

/** The next notification, as names and values. */
async function notification(): Promise<Record<string, string>> {
  const buffer = Buffer.alloc(4096)
  const length = await eventually('a notification', () => {
    const received = trySyscall('recvfrom', notifyFd, buffer, buffer.length, MSG_DONTWAIT, 0, 0)
    return received > 0 && received
  })
  const lines = buffer.toString('utf8', 0, length).split('\n')
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2))) as Record<
    string,
    string
  >
}

/** As systemd starts a service: the socket is descriptor 3, LISTEN_PID the pid of the program. */
function startService(): void {
  daemon = spawn(
    'unshare',
    ['--net', '--mount', 'sh', '-c', `LISTEN_PID=$$ exec ${PROGRAM} daemon run`],
    {
      stdio: ['ignore', 'ignore', 'inherit', socketFd],
      env: {
        PATH: process.env['PATH'],
        LISTEN_FDS: '1',
        TSSTACK_NO_BUNDLE: '1',
        NODE_OPTIONS: `--import ${LOOPBACK}`,
        NOTIFY_SOCKET: path.join(home, 'notify'),
        TSSTACK_HOST: `unix://${path.join(home, 'tsstack.sock')}`,
        TSSTACK_STATE_DIR: path.join(home, 'state'),
        TSSTACK_RUN_DIR: path.join(home, 'run'),
        TSSTACK_CGROUP_PARENT: `tsstack-test-service-${process.pid}`,
        TSSTACK_LOG_LEVEL: 'warn',
      },
    },
  )
}

test('takes the socket that it is given, tells of each state, leaves the socket', async () => {
  const socket = path.join(home, 'tsstack.sock')
  const early = connect(socket) // waits in the queue
  await once(early, 'connect')
  early.write('GET /v1/version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  setInheritable(socketFd, true)
  startService()
  expect(await notification()).toMatchObject({ READY: '1', MAINPID: String(daemon.pid) })
  const [answer] = (await once(early, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 200/)
  const before = await createClient({ socket }).version()
  expect(before.pid).toBe(daemon.pid)

  daemon.kill('SIGHUP')
  expect(await notification()).toMatchObject({
    RELOADING: '1',
    MONOTONIC_USEC: expect.stringMatching(/^\d+$/) as unknown,
  })
  expect(await notification()).toMatchObject({ READY: '1' })

  daemon.kill('SIGUSR2')
  expect(await notification()).toMatchObject({ RELOADING: '1' })
  expect(await notification()).toMatchObject({ READY: '1', MAINPID: String(before.pid) })
  expect((await createClient({ socket }).version()).startedAt).not.toBe(before.startedAt)

  daemon.kill('SIGTERM')
  expect(await notification()).toMatchObject({ STOPPING: '1' })
  await once(daemon, 'close')
  expect(daemon.exitCode).toBe(0)
  expect(existsSync(socket)).toBe(true)
})
