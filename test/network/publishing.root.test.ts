/** Published ports as a neighbour on the wire sees them, over IPv4 and IPv6, and how rules of an administrator count. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Port, Service } from '../../src/spec/stack.ts'
import { failureOf, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { createTestSandbox, type TestSandbox } from './sandbox.ts'

const STACK = 'publishing'
const HOST = ['10.250.0.1', 'fd50::1'] as const
const NEIGHBOUR = ['10.250.0.2', 'fd50::2'] as const
/** Answers each connection and datagram with the address that it came from. */
const ECHO = `
  const name = (address) => address.replace('::ffff:', '')
  require('net').createServer((s) => s.on('error', () => 0).end(name(s.remoteAddress ?? '')))
    .listen(80, '::')
  const udp = require('dgram').createSocket('udp6')
  udp.on('message', (_, from) => udp.send(name(from.address), from.port, from.address))
  udp.bind(80, '::', () => console.log('ready'))
`
let daemon: DaemonFixture
let neighbour: TestSandbox

function inNetns(netns: string, program: string, ...args: readonly string[]): string {
  return execFileSync('nsenter', [`--net=${netns}`, program, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim()
}
const outside = (): string => `/proc/${process.pid}/fd/${neighbour.netnsFd}`
const onHost = (program: string, ...args: readonly string[]): string =>
  inNetns(daemon.netns, program, ...args)

beforeAll(async () => {
  daemon = await startDaemonFixture()
  neighbour = createTestSandbox()
  onHost('ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside())
  const sides = [
    { netns: daemon.netns, link: 'wire', own: HOST },
    { netns: outside(), link: 'eth0', own: NEIGHBOUR },
  ]
  for (const { netns, link, own } of sides) {
    inNetns(netns, 'ip', 'addr', 'add', `${own[0]}/24`, 'dev', link)
    inNetns(netns, 'ip', 'addr', 'add', `${own[1]}/64`, 'dev', link, 'nodad')
    inNetns(netns, 'ip', 'link', 'set', link, 'up')
  }
})
afterEach(async () => {
  await daemon.down(STACK, { volumes: true })
})
afterAll(async () => {
  onHost('ip', 'link', 'delete', 'wire')
  neighbour.close()
  await daemon.close()
})

/** What the container says of who asks it. @throws {Error} when nothing answers */
function ask(netns: string, address: string, port: number, protocol = 'tcp'): string {
  const script =
    protocol === 'tcp'
      ? `const s = require('net').connect(port, address).on('data', (d) => console.log(String(d)))
         s.on('error', (e) => { console.error(e); process.exit(1) }); setTimeout(() => process.exit(1), 2000).unref()
         setTimeout(() => s.destroy(), 2000).unref()`
      : `const s = require('dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4')
         s.on('message', (d) => { console.log(String(d)); s.close() }); s.send('?', port, address)
         setTimeout(() => process.exit(1), 4000).unref()`
  const body = `const [address, port] = [${JSON.stringify(address)}, ${port}]; ${script}`
  return inNetns(netns, process.execPath, '-e', body)
}

interface PublishOptions {
  readonly ipv6?: boolean
  readonly driverOpts?: Readonly<Record<string, string>>
  readonly more?: Readonly<Record<string, Service>>
}

const ECHOING: Service = {
  image: 'host:node',
  command: ['node', '-e', ECHO],
  networks: { default: null },
  'x-tsstack': { probe: { tcp: 80 } },
  healthcheck: { interval: '50ms', retries: 200 },
  stop_grace_period: '0s',
}

async function publish(
  ports: readonly Omit<Port, 'protocol'>[] | readonly Port[],
  { ipv6 = false, driverOpts = {}, more = {} }: PublishOptions = {},
): Promise<void> {
  const service: Service = {
    ...ECHOING,
    ports: ports.map((port) => ({ protocol: 'tcp', ...port })),
  }
  await daemon.up(
    STACK,
    {
      networks: {
        default: { name: `${STACK}_default`, enable_ipv6: ipv6, driver_opts: driverOpts },
      },
      services: { s: service, ...more },
    },
    { wait: true },
  )
}

const both = [
  { target: 80, published: '8080' },
  { target: 80, published: '8080', protocol: 'udp' },
] as const

describe('published ports', () => {
  test('the container sees who asks, over IPv4 and IPv6, by TCP and UDP', async () => {
    await publish([...both] as Port[], { ipv6: true })
    for (const [index, address] of HOST.entries())
      for (const protocol of ['tcp', 'udp'])
        expect(ask(outside(), address, 8080, protocol)).toBe(NEIGHBOUR[index])
  })

  test('the host itself reaches them by any of its addresses, localhost in both families', async () => {
    await publish([both[0]], { ipv6: true })
    for (const address of ['127.0.0.1', '::1', ...HOST])
      expect(ask(daemon.netns, address, 8080)).toMatch(/^(10|fd)/)
  })

  test('IPv6 reaches a container that has IPv4 only', async () => {
    await publish([both[0]])
    for (const address of ['::1', HOST[1]]) expect(ask(daemon.netns, address, 8080)).toMatch(/^10/)
    expect(ask(outside(), HOST[1], 8080)).toMatch(/^10/)
  })

  test('on one address only: the others do not answer', async () => {
    await publish([{ target: 80, published: '8080', host_ip: '127.0.0.1' }])
    expect(ask(daemon.netns, '127.0.0.1', 8080)).toMatch(/^10/)
    expect(() => ask(outside(), HOST[0], 8080)).toThrow()
    await publish([{ target: 80, published: '8080', host_ip: HOST[0] }])
    expect(ask(outside(), HOST[0], 8080)).toBe(NEIGHBOUR[0])
    expect(() => ask(daemon.netns, '127.0.0.1', 8080)).toThrow()
    await publish([{ target: 80, published: '8081', host_ip: HOST[1] }], { ipv6: true })
    expect(ask(outside(), HOST[1], 8081)).toBe(NEIGHBOUR[1])
    expect(() => ask(outside(), HOST[0], 8081)).toThrow()
  })

  test('of a range any one is taken, and an address that is not there is named', async () => {
    await publish([{ target: 80, published: '8100-8102' }])
    const { ports } = await daemon.container(STACK, 's')
    expect(ask(outside(), HOST[0], ports[0]?.published ?? 0)).toBe(NEIGHBOUR[0])
    const failure = await failureOf(publish([{ target: 80, published: '1', host_ip: '10.9.9.9' }]))
    expect(failure.message).toContain('"10.9.9.9" is not an address of this host')
  })

  test('sctp is published where the kernel has it, and refused by its name where it has not', async () => {
    const sctp = publish([{ target: 80, published: '8110', protocol: 'sctp' }])
    if (!fs.existsSync('/proc/net/sctp')) {
      expect((await failureOf(sctp)).message).toContain('8110/sctp: the kernel has no sctp')
      return
    }
    await sctp
    expect((await daemon.container(STACK, 's')).ports).toContainEqual(
      expect.objectContaining({ published: 8110, protocol: 'sctp' }),
    )
    expect(onHost('nft', 'list', 'map', 'inet', 'tsstack', 'published4')).toContain('8110')
  })
})

describe('ways out', () => {
  test('a container reaches a neighbour with the address of the host, IPv6 too', async () => {
    const { pid } = await start({ ipv6: true })
    const server = `require('net').createServer((s) => { s.end(s.remoteAddress); server.close() })`
    for (const [index, address] of NEIGHBOUR.entries()) {
      const listen = `const server = ${server}; server.listen(${9000 + index}, '${address}')`
      expect(reach(pid, listen, { address, port: 9000 + index })).toBe(HOST[index])
    }
  })

  test('from an internal network there is none', async () => {
    const { pid } = await start({ internal: true })
    const netns = `/proc/${String(pid)}/ns/net`
    expect(inNetns(netns, 'ip', 'route', 'show', 'default')).toBe('')
    expect(() => inNetns(netns, 'ping', '-c', '1', '-W', '1', HOST[0])).toThrow()
  })
})

async function start(options: { readonly ipv6?: boolean; readonly internal?: boolean }): Promise<{
  readonly pid: number
}> {
  const { ipv6 = false, internal = false } = options
  await daemon.up(STACK, {
    networks: { default: { name: `${STACK}_default`, enable_ipv6: ipv6, internal } },
    services: {
      s: {
        image: 'host:sh,coreutils',
        command: ['sleep', '1000'],
        networks: { default: null },
        stop_grace_period: '0s',
      },
    },
  })
  const { pid = 0 } = await daemon.container(STACK, 's')
  return { pid }
}

/** Starts a server at the neighbour's, and asks it from within a container's network. */
function reach(
  pid: number,
  server: string,
  { address, port }: { readonly address: string; readonly port: number },
): string {
  const script = `nsenter --net=${outside()} "$0" -e "$1" & server=$!
    for attempt in $(seq 100); do
      nsenter --net=/proc/${String(pid)}/ns/net "$0" -e "$2" && break
    done; wait $server`
  const client = `require('net').connect(${port}, '${address}')
    .on('data', (d) => console.log(String(d))).on('error', (e) => { console.error(e); process.exit(1) })`
  return execFileSync('sh', ['-c', script, process.execPath, server, client], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim()
}

describe('a service without a network of its own', () => {
  const without = (network_mode: string): Record<string, Service> => {
    const { networks, ...service } = ECHOING
    return { plain: { ...service, network_mode, ports: [{ protocol: 'tcp', ...both[0] }] } }
  }

  test('on the network of the host may listen on the port that it writes down', async () => {
    const { plain } = without('host')
    const command = ['node', '-e', ECHO.replaceAll('80', '8080')]
    const events = await daemon.up(
      STACK,
      { services: { plain: { ...plain, command, 'x-tsstack': { probe: { tcp: 8080 } } } } },
      { wait: true },
    )
    expect(JSON.stringify(events)).toContain('ports has no effect: its programs listen on the host')
    expect(ask(outside(), HOST[0], 8080)).toBe(NEIGHBOUR[0])
    expect((await daemon.container(STACK, 'plain')).ports).toEqual([])
  })

  test('has nothing published with none, and is refused with that of another', async () => {
    const events = await daemon.up(STACK, { services: without('none') })
    expect(JSON.stringify(events)).toContain('ports has no effect: it has no network')
    await daemon.down(STACK)
    const failure = await failureOf(publish([], { more: without('service:s') }))
    expect(failure.message).toBe(
      'Cannot publish ports of service "plain": it has the network of "s"',
    )
  })
})

describe("options of Docker's bridge", () => {
  const bridge = (option: string, value: string): PublishOptions => ({
    driverOpts: { [`com.docker.network.bridge.${option}`]: value },
    more: { other: ECHOING },
  })

  test.each([
    ['true', true],
    ['false', false],
  ])('enable_icc: %s: containers reach each other: %s', async (value, expected) => {
    await publish([both[0]], bridge('enable_icc', value))
    const { networks } = await daemon.container(STACK, 's')
    const { ipv4 = '' } = networks[`${STACK}_default`] ?? {}
    const { pid } = await daemon.container(STACK, 'other')
    const other = `/proc/${String(pid)}/ns/net`
    if (expected) expect(ask(other, ipv4, 80)).toMatch(/^10/)
    else expect(() => ask(other, ipv4, 80)).toThrow()
    expect(ask(outside(), HOST[0], 8080)).toBe(NEIGHBOUR[0])
  })

  test('host_binding_ipv4 is where ports are that name no address', async () => {
    await publish([both[0]], bridge('host_binding_ipv4', '127.0.0.1'))
    expect(ask(daemon.netns, '127.0.0.1', 8080)).toMatch(/^10/)
    expect(() => ask(outside(), HOST[0], 8080)).toThrow()
    const [port, ...others] = (await daemon.container(STACK, 's')).ports
    expect([port?.hostIp, others]).toEqual(['127.0.0.1', []])
    await daemon.kill()
    await daemon.start()
    expect(ask(daemon.netns, '127.0.0.1', 8080)).toMatch(/^10/)
    expect(() => ask(outside(), HOST[0], 8080)).toThrow()
  })

  test('enable_ip_masquerade: false leaves containers their addresses outside', async () => {
    await publish([], bridge('enable_ip_masquerade', 'false'))
    const { pid, networks } = await daemon.container(STACK, 's')
    const { ipv4 = '' } = networks[`${STACK}_default`] ?? {}
    inNetns(outside(), 'ip', 'route', 'add', `${ipv4}/32`, 'via', HOST[0])
    const server = `require('net').createServer((s) => { s.end(s.remoteAddress); process.exitCode = 0
      setTimeout(() => process.exit(), 200) }).listen(9000, '0.0.0.0')`
    try {
      expect(reach(pid ?? 0, server, { address: NEIGHBOUR[0], port: 9000 })).toBe(ipv4)
    } finally {
      inNetns(outside(), 'ip', 'route', 'del', `${ipv4}/32`)
    }
  })

  test.each([
    ['enable_icc', 'maybe', 'is not true or false'],
    ['host_binding_ipv4', '::1', 'is no IPv4 address'],
  ])('%s: %s is refused', async (option, value, message) => {
    const failure = await failureOf(publish([], bridge(option, value)))
    expect(failure.message).toContain(message)
  })

  test('one that there is not is told', async () => {
    const { driverOpts = {} } = bridge('name', 'br0')
    const networks = { default: { name: `${STACK}_default`, driver_opts: driverOpts } }
    const events = await daemon.up(STACK, { networks, services: { s: ECHOING } })
    expect(JSON.stringify(events)).toContain('bridge.name has no effect: there is no such option')
  })
})

describe("an administrator's rules", () => {
  test('come first from a table of their own, whatever is published', async () => {
    await publish([both[0]])
    expect(ask(outside(), HOST[0], 8080)).toBe(NEIGHBOUR[0])
    const rules = [
      'table inet admin {',
      'chain forward { type filter hook forward priority -1; policy accept;',
      `iifname "wire" meta l4proto tcp ct original proto-dst 8080 ip saddr ${NEIGHBOUR[0]} drop`,
      '}',
      '}',
    ].join('\n')
    execFileSync('nsenter', [`--net=${daemon.netns}`, 'nft', '-f', '-'], { input: rules })
    try {
      expect(() => ask(outside(), HOST[0], 8080)).toThrow()
      expect(ask(daemon.netns, '127.0.0.1', 8080)).toMatch(/^10/)
      await daemon.kill()
      await daemon.start()
      expect(() => ask(outside(), HOST[0], 8080)).toThrow()
    } finally {
      onHost('nft', 'delete', 'table', 'inet', 'admin')
    }
    expect(ask(outside(), HOST[0], 8080)).toBe(NEIGHBOUR[0])
  })

  test('doctor says who else decides, and what to do about it', async () => {
    const advice = async (): Promise<string> => {
      const checks = await daemon.client.doctor()
      return checks.find(({ name }) => name === 'other firewalls')?.remedy ?? ''
    }
    const drop = '{ type filter hook forward priority 5; policy drop; }'
    onHost('nft', `add table inet mine; add chain inet mine forward ${drop}`)
    expect(await advice()).toContain('interfaces ts-*')
    onHost('nft', 'delete table inet mine')
    const reject = '{ type filter hook forward priority 10; }'
    onHost('nft', `add table inet firewalld; add chain inet firewalld filter_FORWARD ${reject}`)
    expect(await advice()).toContain('firewall-cmd')
    onHost('nft', 'delete table inet firewalld')
    expect(await advice()).toBe('')
  })
})
