/** What a Compose file can ask of networks, seen from inside the containers and from outside of the host. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import {
  failureOf,
  startDaemonFixture,
  type DaemonFixture,
  type StackParts,
} from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'networks'
const IDLE: Service = {
  image: 'host:sh,coreutils,grep,getent,ip',
  command: ['sleep', '1000'],
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
  await daemon.down(STACK, { volumes: true })
})

async function start(service: Service, networks: StackParts['networks'] = {}): Promise<string> {
  await daemon.up(STACK, { networks, services: { s: { ...IDLE, ...service } } })
  return (await daemon.container(STACK, 's')).id
}

function named(
  networks: Readonly<Record<string, Omit<NonNullable<StackParts['networks']>[string], 'name'>>>,
): NonNullable<StackParts['networks']> {
  return Object.fromEntries(
    Object.entries(networks).map(([key, network]) => [
      key,
      { name: `${STACK}_${key}`, ...network },
    ]),
  )
}

describe('endpoints', () => {
  test('static addresses, link-layer address, name of the interface, MTU', async () => {
    const networks = named({
      a: {
        enable_ipv6: true,
        driver_opts: { 'com.docker.network.driver.mtu': '1400' },
        ipam: { config: [{ subnet: '10.231.7.0/24' }, { subnet: 'fd31:7::/64' }] },
      },
    })
    const a = {
      ipv4_address: '10.231.7.77',
      ipv6_address: 'fd31:7::77',
      mac_address: '02:42:ac:11:65:43',
      interface_name: 'lan',
    }
    const id = await start({ networks: { a } }, networks)
    const shown = await daemon.sh(id, 'ip addr show lan')
    expect(shown).toContain('inet 10.231.7.77/24')
    expect(shown).toContain('inet6 fd31:7::77/64 scope global')
    expect(shown).toContain('link/ether 02:42:ac:11:65:43')
    expect(shown).toContain('mtu 1400')
  })

  test('further addresses; a network of IPv6 alone; the way of names to an own name server', async () => {
    const networks = named({
      a: { ipam: { config: [{ subnet: '10.231.5.0/24' }] } },
      six: {
        enable_ipv4: false,
        enable_ipv6: true,
        ipam: { config: [{ subnet: 'fd31:6::/64', gateway: 'fd31:6::fe' }] },
      },
    })
    const id = await start(
      {
        networks: { a: { link_local_ips: ['169.254.9.9', '10.77.0.5'], priority: 1 }, six: null },
        dns: ['192.0.2.53'],
      },
      networks,
    )
    const shown = await daemon.sh(id, 'ip -o addr; cat /etc/resolv.conf; ip -6 route show default')
    expect(shown).toMatch(/eth0 +inet 169\.254\.9\.9\/16/)
    expect(shown).toMatch(/eth0 +inet 10\.77\.0\.5\//)
    expect(shown).toMatch(/eth1 +inet6 fd31:6::/)
    expect(shown).not.toMatch(/eth1 +inet /)
    expect(shown).toContain('default via fd31:6::fe dev eth1')
    expect(shown).not.toContain('192.0.2.53') // the daemon asks it
  })

  test('priority orders the interfaces, gw_priority chooses the default route', async () => {
    const networks = named({
      a: { ipam: { config: [{ subnet: '10.231.1.0/24' }] } },
      b: { ipam: { config: [{ subnet: '10.231.2.0/24' }] } },
      c: { ipam: { config: [{ subnet: '10.231.3.0/24' }] } },
    })
    const id = await start(
      { networks: { a: { priority: 1 }, b: { priority: 9 }, c: { gw_priority: 5 } } },
      networks,
    )
    const shown = await daemon.sh(id, 'ip -o -4 addr')
    expect(shown).toMatch(/eth0 .*10\.231\.2\.[\s\S]*eth1 .*10\.231\.1\.[\s\S]*eth2 .*10\.231\.3\./)
    expect(await daemon.sh(id, 'ip route show default')).toContain('via 10.231.3.1 dev eth2')
  })

  test('addresses come from ip_range, past the gateway and auxiliary addresses', async () => {
    const config = {
      subnet: '10.231.4.0/24',
      ip_range: '10.231.4.128/30',
      gateway: '10.231.4.254',
      aux_addresses: { router: '10.231.4.128', printer: '10.231.4.129' },
    }
    const id = await start({ networks: { a: null } }, named({ a: { ipam: { config: [config] } } }))
    expect(await daemon.sh(id, 'ip -o -4 addr show eth0')).toContain('10.231.4.130/24')
    expect(await daemon.sh(id, 'ip route show default')).toContain('via 10.231.4.254')
  })

  test.each([
    [{ ipv4_address: '10.231.4.1' }, 'it is taken'],
    [{ ipv4_address: '10.9.9.9' }, 'it is not a host address of "10.231.4.0/24"'],
    [{ ipv6_address: 'fd31::5' }, 'network "networks_a" has no IPv6'],
  ])('%j is refused', async (a, message) => {
    const networks = named({ a: { ipam: { config: [{ subnet: '10.231.4.0/24' }] } } })
    const failure = await failureOf(start({ networks: { a } }, networks))
    expect(failure.message).toContain(message)
  })
})

/** A program beside the daemon, in the network namespace that is its host. */
function onHost(program: string, ...args: readonly string[]): string {
  return execFileSync('nsenter', [`--net=${daemon.netns}`, program, ...args], {
    encoding: 'utf8',
  }).trim()
}

describe('external networks', () => {
  const external = { proxy: { name: 'shared', external: true } }

  test('a missing one is named before anything is made', async () => {
    const failure = await failureOf(start({ networks: { proxy: null } }, external))
    expect(failure.message).toMatch(/network .*shared.*declared as external/)
    expect(failure.hint).toContain('tsstack network create shared')
    expect(await daemon.client.networks()).toEqual([])
  })

  test('two stacks meet on one, and it stays as long as one of them is there', async () => {
    const own = { proxy: { name: 'shared' } }
    const service: Service = { ...IDLE, networks: { proxy: { aliases: ['front'] } } }
    await daemon.up('owner', { networks: own, services: { web: service } })
    try {
      const id = await start({ networks: { proxy: null } }, external)
      expect(await daemon.sh(id, 'getent ahostsv4 front')).toContain('front')
      const events = await daemon.down('owner')
      expect(JSON.stringify(events)).toContain('network \\"shared\\" stays')
      expect((await daemon.client.network('shared')).containers).toHaveLength(1)
      await expect(daemon.client.removeNetwork('shared')).rejects.toThrow('used by networks-s-1')
      await daemon.down(STACK)
    } finally {
      await daemon.down('owner')
    }
    expect(await daemon.client.networks()).toEqual([])
  })

  test('network create makes one, rm and prune take it away', async () => {
    const subnets = [{ subnet: '10.232.0.0/24', gateway: '10.232.0.9' }]
    await daemon.client.createNetwork({ name: 'shared', subnets, labels: { a: 'b' } })
    await expect(daemon.client.createNetwork({ name: 'shared' })).rejects.toThrow('Cannot create')
    expect(await daemon.client.network('shared')).toMatchObject({
      subnets: ['10.232.0.0/24'],
      gateways: ['10.232.0.9'],
      labels: { a: 'b' },
      containers: [],
    })
    const id = await start({ networks: { proxy: null } }, external)
    expect(await daemon.sh(id, 'ip route show default')).toContain('10.232.0.9')
    await daemon.down(STACK)
    await daemon.client.createNetwork({ name: 'other' })
    await daemon.client.removeNetwork('other')
    expect((await daemon.client.pruneNetworks()).removed).toEqual(['shared'])
  })

  test.each(['host', 'none'] as const)('the network named %s is that of Docker', async (name) => {
    const networks = { outer: { name, external: true } }
    const id = await start({ networks: { outer: null } }, networks)
    const shown = (await daemon.sh(id, 'ip -o link')).split('\n').length
    const host = onHost('ip', '-o', 'link').split('\n').length
    expect(shown).toBe(name === 'host' ? host : 1)
  })
})

describe('macvlan', () => {
  test('a container is on an interface of the host, with an address of its own there', async () => {
    onHost('ip', 'link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'lan1')
    try {
      for (const link of ['lan0', 'lan1']) onHost('ip', 'link', 'set', link, 'up')
      onHost('ip', 'addr', 'add', '10.233.5.1/24', 'dev', 'lan1')
      const networks = named({
        lan: {
          driver: 'macvlan',
          driver_opts: { parent: 'lan0' },
          ipam: { config: [{ subnet: '10.233.5.0/24', gateway: '10.233.5.1' }] },
        },
      })
      const id = await start({ networks: { lan: { ipv4_address: '10.233.5.40' } } }, networks)
      expect(await daemon.sh(id, 'ip -d link show eth0')).toContain('macvlan mode bridge')
      expect(await daemon.sh(id, 'ip route show default')).toContain('via 10.233.5.1')
      // The neighbour on the wire sees it by its own link-layer address.
      onHost('ping', '-c', '1', '-W', '5', '10.233.5.40')
      const { mac } = (await daemon.container(STACK, 's')).networks['networks_lan'] ?? {}
      expect(onHost('ip', 'neigh', 'show', '10.233.5.40')).toContain(mac ?? 'none')
    } finally {
      await daemon.down(STACK)
      onHost('ip', 'link', 'delete', 'lan0')
    }
  })

  test.each([
    [{}, "needs the host's interface"],
    [{ parent: 'no-such' }, 'Cannot use interface "no-such"'],
    [{ parent: 'lo', macvlan_mode: 'x' }, '"x" is not one of'],
  ])('%j is refused', async (driver_opts, message) => {
    const networks = named({ lan: { driver: 'macvlan', driver_opts } })
    const failure = await failureOf(start({ networks: { lan: null } }, networks))
    expect(failure.message).toContain(message)
    expect(await daemon.client.networks()).toEqual([])
  })
})

test('a subnet that the host has is refused, and the error says which', async () => {
  onHost('ip', 'link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'lan1')
  try {
    onHost('ip', 'addr', 'add', '10.234.1.5/24', 'dev', 'lan0')
    onHost('ip', 'link', 'set', 'lan0', 'up')
    const networks = named({ a: { ipam: { config: [{ subnet: '10.234.0.0/16' }] } } })
    const failure = await failureOf(start({ networks: { a: null } }, networks))
    expect(failure.message).toMatch(/the host itself has "10\.234\.1\..*" in subnet/)
  } finally {
    onHost('ip', 'link', 'delete', 'lan0')
  }
})

describe('names while no daemon runs', () => {
  test('wait for the next one, and are answered by it', async () => {
    const image = 'host:sh,coreutils,getent'
    const script = `while ! test -e /tmp/ask; do sleep 0.02; done; getent ahostsv4 web >/tmp/answer`
    const network = { networks: { default: null }, dns_opt: ['timeout:30'] }
    const services = {
      web: { ...IDLE, ...network },
      s: { ...IDLE, ...network, image, command: ['sh', '-c', `${script}; sleep 1000`] },
    }
    await daemon.up(STACK, { networks: named({ default: {} }), services })
    const { id, pid } = await daemon.container(STACK, 's')
    const root = `/proc/${String(pid)}/root/tmp`
    await daemon.kill()
    fs.writeFileSync(`${root}/ask`, '')
    // The question is in the socket's queue when the kernel says so.
    const queue = (): boolean =>
      / 0000003[0-9A-F]:|:0035 .* [0-9A-F]{8}:(?!0{8})/.test(onHost('cat', '/proc/net/udp'))
    await eventually('a question in the queue', queue)
    await daemon.start()
    await eventually(
      'the answer',
      async () => (await daemon.exec(id, ['cat', '/tmp/answer'])).stdout !== '',
    )
    expect(await daemon.sh(id, 'cat /tmp/answer')).toContain('web')
  })

  test('another network may have the address of one that is gone, while containers run', async () => {
    await daemon.up('stays', { services: { s: { ...IDLE, network_mode: 'none' } } })
    try {
      const networks = named({ a: { ipam: { config: [{ subnet: '10.231.8.0/24' }] } } })
      for (const round of [1, 2]) {
        const id = await start({ networks: { a: null } }, networks)
        expect([round, await daemon.sh(id, 'getent ahostsv4 s')]).toEqual([
          round,
          expect.stringContaining('10.231.8'),
        ])
        await daemon.down(STACK)
      }
    } finally {
      await daemon.down('stays')
    }
  })
})
