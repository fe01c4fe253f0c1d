/** What containers are told of names: by DNS over UDP and TCP, in resolv.conf and in hosts; and what stats count. */
import { readFileSync } from 'node:fs'
import os from 'node:os'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'names'
const IDLE: Service = {
  image: 'host:sh,coreutils,node,getent,cat',
  command: ['sleep', '1000'],
  networks: { default: null },
  stop_grace_period: '0s',
}
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})
afterEach(async () => {
  await daemon.down(STACK)
})

async function start(
  service: Service,
  more: Readonly<Record<string, Service>> = {},
): Promise<string> {
  const networks = { default: { name: `${STACK}_default`, enable_ipv6: true } }
  await daemon.up(STACK, { networks, services: { s: { ...IDLE, ...service }, ...more } })
  return (await daemon.container(STACK, 's')).id
}

/** The outcome of a call of Node's resolver, as JSON. */
async function resolve(id: string, call: string): Promise<unknown> {
  const script = `const dns = require('dns').promises
    dns.${call}.then((v) => console.log(JSON.stringify(v)), (e) => console.log(JSON.stringify(e.code)))`
  return JSON.parse((await daemon.exec(id, ['node', '-e', script])).stdout) as unknown
}

test('aliases in both families, several replicas, PTR, and a name that is nobody', async () => {
  const web = { ...IDLE, scale: 3, networks: { default: { aliases: ['front'] } } }
  const id = await start({}, { web })
  expect(await resolve(id, `resolve4('front')`)).toHaveLength(3)
  expect(await resolve(id, `resolve6('front')`)).toHaveLength(3)
  const [address] = (await resolve(id, `resolve4('names-web-1')`)) as string[]
  expect(await resolve(id, `reverse('${address ?? ''}')`)).toEqual(['names-web-1.names_default'])
  expect(await resolve(id, `resolve4('no-such-name')`)).toMatch(/ENOTFOUND|ESERVFAIL|EREFUSED/)
})

test('resolv.conf has search domains and options, hosts has extra names and the gateway', async () => {
  const id = await start({
    dns_search: ['a.example', 'b.example'],
    dns_opt: ['timeout:1'],
    extra_hosts: ['box=host-gateway', 'six=fd00::5', 'four=192.0.2.7'],
    hostname: 'me',
    domainname: 'example.org',
  })
  const resolv = await daemon.sh(id, 'cat /etc/resolv.conf')
  expect(resolv).toContain('search a.example b.example')
  expect(resolv).toContain('options ndots:0 timeout:1')
  const gateway = /nameserver (\S+)/.exec(resolv)?.[1] ?? ''
  expect(await daemon.sh(id, 'getent hosts box')).toContain(gateway)
  expect(await daemon.sh(id, 'getent ahosts six')).toContain('fd00::5')
  expect(await daemon.sh(id, 'getent hosts four')).toContain('192.0.2.7')
  expect(await daemon.sh(id, 'getent hosts me.example.org')).toContain('me')
})

test('stats count what a container sends and receives', async () => {
  const server = `require('net').createServer((s) => s.on('error', () => 0).end('x'.repeat(2e6)))
    .listen(80)`
  const web: Service = {
    ...IDLE,
    command: ['node', '-e', server],
    'x-tsstack': { probe: { tcp: 80 } },
    healthcheck: { interval: '50ms', retries: 200 },
  }
  const id = await start(
    { depends_on: { web: { condition: 'service_healthy', required: true } } },
    { web },
  )
  const script = `require('net').connect(80, 'web').resume().on('end', () => console.log('done'))`
  expect((await daemon.exec(id, ['node', '-e', script])).stdout).toBe('done\n')
  await eventually('the bytes in stats', async () => {
    for await (const samples of daemon.client.stats({ stack: STACK, stream: false })) {
      const of = (service: string): (typeof samples)[number] | undefined =>
        samples.find((sample) => sample.service === service)
      if ((of('s')?.networkReceivedBytes ?? 0) > 2e6 && (of('web')?.networkSentBytes ?? 0) > 2e6)
        return true
    }
    return false
  })
})

test('who shares a network knows its names, and has its name', async () => {
  const { networks: _, ...other } = IDLE
  const sharer: Service = { ...other, network_mode: 'service:s', extra_hosts: ['box=192.0.2.9'] }
  const id = await start({ hostname: 'owner', extra_hosts: ['four=192.0.2.7'] }, { sharer })
  const { id: sharerId } = await daemon.container(STACK, 'sharer')
  expect(await resolve(sharerId, `resolve4('s')`)).toEqual(await resolve(id, `resolve4('s')`))
  const hosts = await daemon.sh(sharerId, 'cat /etc/hosts')
  expect(hosts).toMatch(/192\.0\.2\.7\tfour\n192\.0\.2\.9\tbox\n10\.[0-9.]+\towner$/m)
  expect(await daemon.sh(sharerId, 'cat /etc/hostname; cat /proc/sys/kernel/hostname')).toBe(
    'owner\nowner',
  )
})

test('who has the network of the host has its names and its name', async () => {
  const { networks: _, ...other } = IDLE
  const id = await start({}, { host: { ...other, network_mode: 'host' } })
  const host = await daemon.container(STACK, 'host')
  const read = 'cat /etc/hosts /etc/resolv.conf /etc/hostname'
  const expected = [
    readFileSync('/etc/hosts', 'utf8'),
    readFileSync('/etc/resolv.conf', 'utf8'),
    os.hostname(),
  ].join('')
  expect(await daemon.sh(host.id, read)).toBe(expected.trim())
  expect(id).not.toBe(host.id)
})

test('network_mode: bridge is a network, with links; a mode may name one of another stack', async () => {
  const { networks: _, ...other } = IDLE
  const onBridge: Service = { ...other, network_mode: 'bridge' }
  await start({}, { web: onBridge, client: { ...onBridge, links: ['web:www'] } })
  const client = await daemon.container(STACK, 'client')
  expect(Object.keys(client.networks)).toEqual(['names_default_bridge'])
  expect(await resolve(client.id, `resolve4('www')`)).toHaveLength(1)
  const guest: Service = { ...other, network_mode: 'names_default' }
  await daemon.up('guest', { services: { guest } })
  expect(
    await resolve((await daemon.container('guest', 'guest')).id, `resolve4('s')`),
  ).toHaveLength(1)
  await daemon.down('guest')
})
