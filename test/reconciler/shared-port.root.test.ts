/** One port of the host that all replicas of a service serve, through changes of their number. */
import { execFileSync } from 'node:child_process'
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
