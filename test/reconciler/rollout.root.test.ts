/** Rollouts with hooks, jobs and conditions. Under load: test/e2e/rollout.test.ts. */
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tcpSocketsOf } from '../../src/network/tcp-sockets.ts'
import type { Hook, Service } from '../../src/spec/stack.ts'
import {
  failureOf,
  startDaemonFixture,
  type DaemonFixture,
  type StackParts,
} from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

function service(version: string, more: Service): Service {
  return {
    image: 'host:sh,sleep,cat',
    network_mode: 'none',
    command: ['sleep', '600'],
    stop_signal: 'SIGKILL',
    environment: { VERSION: version },
    deploy: { update_config: { order: 'start-first' } },
    ...more,
  }
}

function partsOf(version: string): StackParts {
  const hooks = (name: string): Hook[] => [
    { command: ['sh', '-c', `echo ${name} $VERSION >>/out/log`] },
  ]
  return {
    services: {
      web: service(version, {
        volumes: [{ type: 'bind', source: daemon.scratch, target: '/out' }],
        pre_start: hooks('pre_start'),
        post_start: hooks('post_start'),
        pre_stop: hooks('pre_stop'),
      }),
      job: service(version, { command: ['sh', '-c', 'exit 0'] }),
      after: service(version, {
        depends_on: {
          job: { condition: 'service_completed_successfully', required: true },
          web: { condition: 'service_started', required: true },
        },
      }),
    },
  }
}

test('hooks run in the order of a rollout, and conditions wait for it', async () => {
  await daemon.up('hooks', partsOf('1'))
  await daemon.up('hooks', partsOf('2'))
  const lines = readFileSync(path.join(daemon.scratch, 'log'), 'utf8').trim().split('\n')
  expect(lines).toEqual([
    'pre_start 1',
    'post_start 1',
    'pre_start 2',
    'post_start 2',
    'pre_stop 1',
  ])
  const containers = await daemon.client.containers({ stack: 'hooks', all: true })
  expect(containers.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'hooks-after-1 running',
    'hooks-job-1 exited',
    'hooks-web-1 running',
  ])
  await daemon.down('hooks')
})

test('a service that is rolled back has the content of its configs and secrets of before', async () => {
  const parts = (content: string): StackParts => ({
    services: {
      web: service('1', {
        command: ['sh', '-c', 'echo "settings: $(cat /settings)"; exec sleep 600'],
        configs: [{ source: 'settings', target: '/settings' }],
        secrets: [{ source: 'key', target: '/run/secrets/key' }],
        healthcheck: {
          test: ['CMD-SHELL', 'test "$(cat /settings)" = good'],
          interval: '100ms',
          retries: 2,
        },
        deploy: { update_config: { order: 'stop-first', failure_action: 'rollback' } },
      }),
    },
    configs: { settings: { name: 'back_settings', content } },
    secrets: { key: { name: 'back_key', content: `key of ${content}` } },
  })
  await daemon.up('back', parts('good'), { wait: true })
  const failure = await failureOf(daemon.up('back', parts('bad')))
  expect(failure.message).toContain('rolled back')
  // Its log is gone with it.
  expect(failure.hint).toBe('back-web-1 wrote last:\n  settings: bad')
  const { id } = await daemon.container('back', 'web')
  expect(await daemon.sh(id, 'cat /settings; echo; cat /run/secrets/key')).toBe('good\nkey of good')
  await daemon.down('back')
})

/** Opens connections from the host, says `full` when the queue has let in as many as it holds, then the first answer. */
const CALLS = `
  let open = 0
  for (let count = 0; count < 6; count++) {
    const socket = require('net').connect(8090, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.on('connect', () => { if (++open === 2) console.log('full') })
    socket.on('data', (text) => { console.log(String(text)); process.exit() })
  }`

test('a client for whom the old one had no place in its queue is led to the new one', async () => {
  const serve = (then: string): string =>
    `require('net').createServer((s) => s.on('error', () => {}).end('hello')).listen(80, '0.0.0.0', 1, () => { ${then} })`
  const parts = (then: string): StackParts => ({
    services: {
      web: {
        image: 'host:node',
        command: ['node', '-e', serve(then)],
        stop_signal: 'SIGKILL',
        networks: { default: null },
        ports: [{ target: 80, published: '8090', protocol: 'tcp', host_ip: '127.0.0.1' }],
        deploy: { update_config: { order: 'start-first' } },
        'x-tsstack': { drain: '3s' },
      },
    },
    networks: { default: { name: 'queue_default' } },
  })
  await daemon.up('queue', parts('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'))
  const { pid = 0 } = await daemon.container('queue', 'web')
  await eventually('a listener', () => tcpSocketsOf(pid).listening.has(80))
  const calls = spawn('nsenter', [`--net=${daemon.netns}`, process.execPath, '-e', CALLS])
  let heard = ''
  calls.stdout.setEncoding('utf8').on('data', (text: string) => {
    heard += text
  })
  await eventually('a full queue', () => heard === 'full\n')
  let isUpdated = false
  const update = daemon.up('queue', parts('')).then(() => {
    isUpdated = true
  })
  // Its SYN is sent again within a second; the old one goes after three.
  await eventually('an answer', () => heard === 'full\nhello\n')
  expect(isUpdated).toBe(false)
  await update
  await daemon.down('queue')
})

/** Connects, says something, tells what becomes of it. */
const CALL = `
  const socket = require('net').connect(8091, '127.0.0.1')
  socket.on('connect', () => { console.log('connected'); socket.write('hello') })
  socket.on('data', (text) => { console.log(String(text)); process.exit() })
  socket.on('error', ({ code }) => { console.log(code) })`

/** What is no SYN does not arrive: so it is where a queue is full. */
const DEAF = 'add rule inet deaf in tcp dport 80 tcp flags & syn == 0 drop'

test('a client whom the old one could not hear yet is served by it', async () => {
  const serve = (version: string): string =>
    `require('net').createServer((s) => s.on('data', () => s.end('${version}'))).listen(80, '0.0.0.0')`
  const parts = (version: string): StackParts => ({
    services: {
      web: {
        image: 'host:node',
        command: ['node', '-e', serve(version)],
        stop_signal: 'SIGKILL',
        sysctls: { 'net.ipv4.tcp_syncookies': '2' }, // it keeps nothing of a connection until it hears the client
        networks: { default: null },
        ports: [{ target: 80, published: '8091', protocol: 'tcp', host_ip: '127.0.0.1' }],
        deploy: { update_config: { order: 'start-first' } },
      },
    },
    networks: { default: { name: 'deaf_default' } },
  })
  await daemon.up('deaf', parts('old'))
  const { pid = 0, id } = await daemon.container('deaf', 'web')
  await eventually('a listener', () => tcpSocketsOf(pid).listening.has(80))
  const nft = (ruleset: string): string =>
    execFileSync('nsenter', [`--net=/proc/${String(pid)}/ns/net`, 'nft', ruleset], {
      encoding: 'utf8',
    })
  nft(`add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; ${DEAF}`)
  const call = spawn('nsenter', [`--net=${daemon.netns}`, process.execPath, '-e', CALL])
  let heard = ''
  call.stdout.setEncoding('utf8').on('data', (text: string) => {
    heard += text
  })
  await eventually('a connection', () => heard === 'connected\n')
  const update = daemon.up('deaf', parts('new'))
  await eventually('a hand-over', async () => {
    const containers = await daemon.client.containers({ stack: 'deaf' })
    return containers.some(
      (container) => container.id === id && container.name === 'deaf-web-1-old',
    )
  })
  await new Promise((resolve) => setTimeout(resolve, 1000)) // longer than the old one is kept for nobody
  nft('delete table inet deaf')
  await eventually('an answer', () => heard === 'connected\nold\n')
  await update
  await daemon.down('deaf')
})
