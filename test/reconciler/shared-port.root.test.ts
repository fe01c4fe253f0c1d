/** One port of the host that all replicas of a service serve, through changes of their number. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UpRequest } from '../../src/api/types.ts'
import type { Service } from '../../src/spec/stack.ts'
import { failureOf, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'sharing'
/** Answers each connection with the name of the host. */
const SERVER = `require('net').createServer((s) => s.on('error', () => 0).end(require('os').hostname())).listen(80)`
/** Connects so many times, and says how often each answered. */
const CLIENT = `
  const [address, count] = [process.argv[1], Number(process.argv[2])]
  const one = () => new Promise((resolve, reject) => {
    let text = ''
    require('net').connect(8080, address).on('error', reject)
      .on('data', (part) => (text += part)).on('end', () => resolve(text))
  })
  const answers = async () => { for (let i = 0; i < count; i++) console.log(await one()) }
  answers().catch((error) => { console.error(error); process.exit(1) })`
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

async function up(
  scale: number,
  more: Service = {},
  options: UpRequest['options'] = { wait: true },
): Promise<void> {
  const web: Service = {
    image: 'host:node',
    command: ['node', '-e', SERVER],
    ports: [{ target: 80, published: '8080', protocol: 'tcp' }],
    networks: { default: null },
    stop_grace_period: '0s',
    healthcheck: { interval: '50ms', retries: 200 },
    'x-tsstack': { probe: { tcp: 80 }, replica: { hostname: 'web-{{.Replica}}' } },
    scale,
    ...more,
  }
  const networks = { default: { name: `${STACK}_default` } }
  await daemon.up(STACK, { services: { web }, networks }, options)
}

/** Who answers on the port of the host, each once. */
function answering(address: string, count = 60): readonly string[] {
  const command = [`--net=${daemon.netns}`, process.execPath, '-e', CLIENT, address, String(count)]
  const answers = execFileSync('nsenter', command, { encoding: 'utf8', stdio: 'pipe' })
  return [...new Set(answers.trim().split('\n'))].sort()
}

test('all replicas serve a port together, by IPv4 and IPv6, whatever their number becomes', async () => {
  await up(3)
  for (const address of ['127.0.0.1', '::1'])
    expect(answering(address)).toEqual(['web-1', 'web-2', 'web-3'])
  const containers = await daemon.client.containers({ stack: STACK })
  expect(containers.map(({ ports }) => ports[0]?.published)).toEqual([8080, 8080, 8080])

  await up(1)
  for (const address of ['127.0.0.1', '::1']) expect(answering(address, 10)).toEqual(['web-1'])
  await up(2)
  expect(answering('127.0.0.1')).toEqual(['web-1', 'web-2'])

  await daemon.kill()
  await daemon.start()
  for (const address of ['127.0.0.1', '::1']) expect(answering(address)).toEqual(['web-1', 'web-2'])

  // One by one, each before the next: the port is served by whoever is there.
  await up(2, { environment: { A: '1' }, deploy: { update_config: { parallelism: 1 } } })
  expect(answering('127.0.0.1')).toEqual(['web-1', 'web-2'])

  const web2 = (await daemon.client.containers({ stack: STACK })).find(({ number }) => number === 2)
  await daemon.client.removeContainer(web2?.id ?? '', { force: true })
  expect(answering('127.0.0.1', 10)).toEqual(['web-1'])
})

test('a replica takes part when it is healthy, and all do while none is', async () => {
  await up(
    2,
    {
      image: 'host:node,sh,coreutils',
      healthcheck: { interval: '50ms', retries: 2 },
      'x-tsstack': { probe: { file: '/ready' }, replica: { hostname: 'web-{{.Replica}}' } },
    },
    { wait: false },
  )
  const replicas = (await daemon.client.containers({ stack: STACK })).map(({ id }) => id)
  const answerers = (names: readonly string[]): Promise<unknown> =>
    eventually(`answers of ${names.join(' and ')} alone`, () => {
      try {
        return answering('127.0.0.1').join() === names.join()
      } catch {
        return false // one does not listen yet
      }
    })
  await answerers(['web-1', 'web-2'])
  const [first = '', second = ''] = replicas
  await daemon.sh(first, 'touch /ready')
  await answerers(['web-1'])
  await daemon.sh(second, 'touch /ready')
  await answerers(['web-1', 'web-2'])
  await daemon.sh(first, 'rm /ready')
  await answerers(['web-2'])
  await daemon.down(STACK)
})

/** Listens a while after its start; what it answers takes a moment; a line keeps the connection. */
const SLOW_SERVER = `
  const host = require('os').hostname()
  const server = require('net').createServer((s) => {
    s.on('error', () => 0).write(host)
    const timer = setTimeout(() => s.end(), 20)
    s.on('data', () => clearTimeout(timer))
  })
  setTimeout(() => server.listen(80), 300)`
/** Connects over and over, eight at a time; at the end of its input it tells what it has counted. */
const LOAD = `
  let [requests, failures, stopped] = [0, 0, false]
  const one = () => new Promise((resolve) => {
    let text = ''
    requests++
    require('net').connect(8080, '127.0.0.1').on('error', () => 0).on('data', (part) => (text += part))
      .on('close', () => { if (!/^web-.$/.test(text)) failures++; resolve() })
  })
  const loop = async () => { while (!stopped) await one() }
  process.stdin.on('end', () => (stopped = true)).resume()
  Promise.all(Array.from({ length: 8 }, loop)).then(() => console.log(JSON.stringify({ requests, failures })))`
/** Keeps one connection to a replica until the end of its input. */
const HOLD = `
  const wanted = process.argv[1]
  const connect = () => {
    const s = require('net').connect(8080, '127.0.0.1')
    s.once('data', (host) => {
      if (String(host) !== wanted) return s.destroy(), connect()
      s.write('stay')
      console.log('held')
    })
    s.on('close', () => { if (s.bytesWritten > 0) { console.log('closed'); process.exit() } })
  }
  process.stdin.on('end', () => process.exit()).resume()
  connect()`

/** A program beside the daemon; what it has said so far. */
function onHost(
  script: string,
  ...args: readonly string[]
): { said: () => string; end: () => Promise<void> } {
  const command = [`--net=${daemon.netns}`, process.execPath, '-e', script, ...args]
  const child = spawn('nsenter', command, { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => (said += part))
  const closed = once(child, 'close')
  return {
    said: () => said,
    async end() {
      child.stdin.end()
      await closed
    },
  }
}

const unchecked: Service = {
  image: 'host:node,sh,getent',
  command: ['node', '-e', SLOW_SERVER],
  healthcheck: { disable: true },
  'x-tsstack': { replica: { hostname: 'web-{{.Replica}}' } },
}

test('another number of replicas, and an update of some at a time, fail no request', async () => {
  await up(1, unchecked)
  expect(await eventually('an answer', () => tryToAnswer())).toBe(true)
  const load = onHost(LOAD)
  await up(3, unchecked)
  await eventually('all three', () => answering('127.0.0.1', 12).length === 3)
  const next = { ...unchecked, environment: { A: '1' }, deploy: { update_config: {} } }
  await up(3, next)
  await up(2, next)
  await up(1, next)
  await load.end()
  const { requests, failures } = JSON.parse(load.said()) as Record<string, number>
  expect(failures).toBe(0)
  expect(requests).toBeGreaterThan(50)
  await daemon.down(STACK)
})

function tryToAnswer(): boolean {
  try {
    return answering('127.0.0.1', 1).length === 1
  } catch {
    return false
  }
}

test('a replica that goes stays for its open connections, and nothing new leads to it', async () => {
  await up(2, unchecked)
  await eventually('both', () => tryToAnswer() && answering('127.0.0.1', 12).length === 2)
  const hold = onHost(HOLD, 'web-2')
  await eventually('a connection', () => hold.said() === 'held\n')
  const scaling = up(1, unchecked)
  await eventually('the other one alone', () => answering('127.0.0.1', 12).join() === 'web-1')
  const [first, second] = await daemon.client.containers({ stack: STACK })
  expect(second?.state).toBe('running')
  const named = await daemon.sh(first?.id ?? '', 'getent ahostsv4 web')
  expect(new Set(named.split('\n').map((line) => line.split(' ')[0])).size).toBe(1)
  expect(hold.said()).toBe('held\n')
  await hold.end()
  await scaling
  await daemon.down(STACK)
})

test('down does not wait for the connections of a replica that goes', async () => {
  const patient = { ...unchecked, 'x-tsstack': { ...unchecked['x-tsstack'], drain: '1h' } }
  await up(2, patient)
  await eventually('both', () => tryToAnswer() && answering('127.0.0.1', 12).length === 2)
  const hold = onHost(HOLD, 'web-2')
  await eventually('a connection', () => hold.said() === 'held\n')
  const scaling = up(1, patient)
  await eventually('the other one alone', () => answering('127.0.0.1', 12).join() === 'web-1')
  await daemon.down(STACK)
  await scaling
  await hold.end()
  expect(hold.said()).toBe('held\nclosed\n')
})

test('between services it is a conflict, as it is within one container', async () => {
  await up(1)
  const ports = [{ target: 80, published: '8080', protocol: 'tcp' }]
  const other: Service = { image: 'host:sh,coreutils', command: ['sleep', '9'], ports }
  const failure = await failureOf(
    daemon.up('other', {
      services: { s: { ...other, networks: { default: null } } },
      networks: { default: { name: 'other_default' } },
    }),
  )
  expect(failure.message).toContain('8080/tcp: it is in use')
  await daemon.down('other')
  const twice = [...ports, { target: 81, published: '8080', protocol: 'tcp' }]
  expect((await failureOf(up(1, { ports: twice }))).message).toContain('it is in use')
  expect(answering('127.0.0.1', 10)).toEqual(['web-1'])
})
