import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { Server } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FirewallState, PublishedAddress } from '../../src/network/firewall/elements.ts'
import { openFirewall, type Firewall } from '../../src/network/firewall/firewall.ts'
import { enableForwarding, restoreForwarding } from '../../src/network/forwarding.ts'
import { openNetworkDriver, type NetworkDriver } from '../../src/network/network-driver.ts'
import {
  ask,
  createTestSandbox,
  enterTestHost,
  listen,
  within,
  type TestSandbox,
} from './sandbox.ts'

const hasNft = existsSync('/usr/sbin/nft')
const hasIptables = existsSync('/usr/sbin/iptables-nft')

// The host of the test: two networks, an internal one, and a neighbour in the LAN.
const networks = ['a', 'b', 'i'].map((letter, position) => ({
  id: letter,
  name: letter,
  bridge: `ts-${letter}`,
  subnets: [
    { subnet: `10.9.${position}.0/24`, gateway: `10.9.${position}.1` },
    { subnet: `fd00:${position}::/64`, gateway: `fd00:${position}::1` },
  ],
  internal: letter === 'i',
}))
const lan = {
  id: 'lan',
  name: 'lan',
  bridge: 'lan0',
  subnets: [{ subnet: '192.0.2.0/24', gateway: '192.0.2.1' }],
  internal: false,
}

let host: { netnsFd: number; leave(): void }
let driver: NetworkDriver
let firewall: Firewall
let box: Record<'a1' | 'a2' | 'b1' | 'i1' | 'i2' | 'neighbour', TestSandbox>
let servers: Server[] = []

function attach(bridge: string, prefix: readonly string[], number: number): TestSandbox {
  const sandbox = createTestSandbox()
  const gateways = bridge === 'ts-i' ? [] : prefix.map((text) => `${text}1`)
  driver.attachEndpoints(sandbox, [
    {
      bridge,
      hostInterface: `tsv${bridge}${number}`,
      interfaceName: 'eth0',
      mac: `02:42:00:${prefix.length}0:${bridge.charCodeAt(3).toString(16)}:0${number}`,
      addresses: prefix.map((text) => `${text}${number}/${text.includes(':') ? 64 : 24}`),
      gateways,
    },
  ])
  return sandbox
}

beforeEach(async () => {
  host = enterTestHost()
  driver = openNetworkDriver()
  firewall = openFirewall()
  driver.attachEndpoints({ netnsFd: host.netnsFd, netlinkFd: driver.fd }, []) // loopback
  for (const network of [...networks, lan]) driver.ensureNetwork(network)
  writeFileSync('/proc/sys/net/ipv4/conf/lan0/route_localnet', '0') // as any interface that is not ours
  enableForwarding({ ipv6: true })
  const of = (position: number): string[] => [`10.9.${position}.`, `fd00:${position}::`]
  box = {
    a1: attach('ts-a', of(0), 2),
    a2: attach('ts-a', of(0), 3),
    b1: attach('ts-b', of(1), 2),
    i1: attach('ts-i', of(2), 2),
    i2: attach('ts-i', of(2), 3),
    neighbour: attach('lan0', ['192.0.2.'], 9),
  }
  for (const name of ['a1', 'a2', 'b1', 'i1', 'i2', 'neighbour'] as const) {
    servers.push(await listen(box[name].netnsFd, 80, name))
  }
})

afterEach(() => {
  for (const server of servers) server.close()
  servers = []
  firewall.close()
  driver.close()
  for (const sandbox of Object.values(box)) sandbox.close()
  host.leave()
})

function publish(hostIp: string, hostPort: number, containerIp: string): PublishedAddress {
  return { hostIp, hostPort, containerIp, containerPort: 80, protocol: 'tcp' }
}

function state(...published: PublishedAddress[]): FirewallState {
  return { networks, published }
}

const everywhere = (): PublishedAddress => publish('0.0.0.0', 8080, '10.9.0.2')

describe('openFirewall', () => {
  test('sync() publishes a port to the LAN with the source address kept', async () => {
    firewall.sync(state(everywhere()))
    expect(await ask(box.neighbour.netnsFd, '192.0.2.1', 8080)).toBe('a1 192.0.2.9')
  })

  test('sync() publishes a port to the host by localhost, by its own addresses and by the gateway', async () => {
    firewall.sync(state(everywhere()))
    expect(await ask(host.netnsFd, '127.0.0.1', 8080)).toBe('a1 10.9.0.1')
    expect(await ask(host.netnsFd, '192.0.2.1', 8080)).toMatch(/^a1/)
    expect(await ask(host.netnsFd, '10.9.0.1', 8080)).toMatch(/^a1/)
  })

  test('sync() publishes a port to containers: the neighbour, the container itself, another network', async () => {
    firewall.sync(state(everywhere()))
    expect(await ask(box.a2.netnsFd, '192.0.2.1', 8080)).toMatch(/^a1/)
    expect(await ask(box.a1.netnsFd, '192.0.2.1', 8080)).toMatch(/^a1/)
    expect(await ask(box.a1.netnsFd, '10.9.0.1', 8080)).toMatch(/^a1/)
    expect(await ask(box.b1.netnsFd, '192.0.2.1', 8080)).toMatch(/^a1/)
  })

  test('sync() publishes on one address only where one is given', async () => {
    firewall.sync(state(publish('127.0.0.1', 8080, '10.9.0.2')))
    expect(await ask(host.netnsFd, '127.0.0.1', 8080)).toMatch(/^a1/)
    await expect(ask(host.netnsFd, '192.0.2.1', 8080)).rejects.toThrow('ECONNREFUSED')
    await expect(ask(box.neighbour.netnsFd, '192.0.2.1', 8080)).rejects.toThrow('ECONNREFUSED')
  })

  test('sync() prefers the publication on one address to that on all', async () => {
    firewall.sync(state(everywhere(), publish('127.0.0.1', 8080, '10.9.1.2')))
    expect(await ask(host.netnsFd, '127.0.0.1', 8080)).toMatch(/^b1/)
    expect(await ask(host.netnsFd, '192.0.2.1', 8080)).toMatch(/^a1/)
  })

  test('sync() publishes UDP, and answers from localhost come back', async () => {
    firewall.sync(state({ ...everywhere(), protocol: 'udp', hostPort: 5353, containerPort: 53 }))
    const server = createSocket('udp4', (message, from) => {
      server.send(message, from.port, from.address)
    })
    await within(box.a1.netnsFd, async () => {
      server.bind(53)
      await once(server, 'listening')
    })
    const client = createSocket('udp4')
    try {
      await new Promise<void>((resolve) => {
        client.bind(0, resolve)
      })
      client.send('ping', 5353, '127.0.0.1')
      const [answer, from] = (await once(client, 'message')) as [Buffer, { address: string }]
      expect(`${String(answer)} ${from.address}`).toBe('ping 127.0.0.1')
    } finally {
      server.close()
      client.close()
    }
  })

  test('sync() publishes by IPv6', async () => {
    firewall.sync(state(publish('::', 8080, 'fd00:0::2')))
    expect(await ask(host.netnsFd, 'fd00:1::1', 8080)).toMatch(/^a1/)
    expect(await ask(box.b1.netnsFd, 'fd00:1::1', 8080)).toBe('a1 fd00:1::2')
  })

  test('sync() moves a port from one container to another in one transaction', async () => {
    firewall.sync(state(everywhere()))
    expect(firewall.sync(state(publish('0.0.0.0', 8080, '10.9.0.3'))).outcome).toBe('changed')
    expect(await ask(box.neighbour.netnsFd, '192.0.2.1', 8080)).toMatch(/^a2/)
    firewall.sync(state())
    await expect(ask(box.neighbour.netnsFd, '192.0.2.1', 8080)).rejects.toThrow('ECONNREFUSED')
  })

  test('sync() masquerades what goes out', async () => {
    firewall.sync(state())
    expect(await ask(box.a1.netnsFd, '192.0.2.9', 80)).toBe('neighbour 192.0.2.1')
  })

  test('sync() lets containers of one network talk, and those of two not', async () => {
    firewall.sync(state())
    expect(await ask(box.a1.netnsFd, '10.9.0.3', 80)).toBe('a2 10.9.0.2')
    expect(await ask(box.i1.netnsFd, '10.9.2.3', 80)).toBe('i2 10.9.2.2')
    await expect(ask(box.a1.netnsFd, '10.9.1.2', 80)).rejects.toThrow('EHOSTUNREACH')
    await expect(ask(box.a1.netnsFd, 'fd00:1::2', 80)).rejects.toThrow()
    await expect(ask(box.a1.netnsFd, '10.9.2.2', 80)).rejects.toThrow()
  })

  test('sync() keeps containers from the gateway of another network, but not from their own', async () => {
    firewall.sync(state())
    servers.push(await listen(host.netnsFd, 53, 'host'))
    expect(await ask(box.a1.netnsFd, '10.9.0.1', 53)).toMatch(/^host/)
    expect(await ask(box.a1.netnsFd, 'fd00:0::1', 53)).toMatch(/^host/)
    expect(await ask(box.i1.netnsFd, '10.9.2.1', 53)).toMatch(/^host/)
    expect(await ask(box.a1.netnsFd, '192.0.2.1', 53)).toMatch(/^host/)
    await expect(ask(box.a1.netnsFd, '10.9.1.1', 53)).rejects.toThrow('EHOSTUNREACH')
    await expect(ask(box.a1.netnsFd, 'fd00:1::1', 53)).rejects.toThrow()
  })

  test('sync() keeps internal networks from everything outside, even with a route of their own making', async () => {
    firewall.sync(state(everywhere()))
    await within(box.i1.netnsFd, () => {
      execFileSync('ip', ['route', 'add', 'default', 'via', '10.9.2.1'])
    })
    await expect(ask(box.i1.netnsFd, '192.0.2.9', 80)).rejects.toThrow('EHOSTUNREACH')
    await expect(ask(box.i1.netnsFd, '192.0.2.1', 8080)).rejects.toThrow('EHOSTUNREACH')
    await within(box.neighbour.netnsFd, () => {
      execFileSync('ip', ['route', 'replace', 'default', 'via', '192.0.2.1'])
    })
    await expect(ask(box.neighbour.netnsFd, '10.9.2.2', 80)).rejects.toThrow('timeout')
  })

  test('sync() keeps the LAN from container ports that are not published', async () => {
    firewall.sync(state(everywhere()))
    await expect(ask(box.neighbour.netnsFd, '10.9.0.3', 80)).rejects.toThrow('timeout')
  })

  test('sync() keeps containers and neighbours from localhost of the host', async () => {
    firewall.sync(state(publish('127.0.0.1', 8080, '10.9.0.2')))
    servers.push(await listen(host.netnsFd, 99, 'host'))
    for (const [sandbox, gateway] of [
      [box.a2, '10.9.0.1'],
      [box.neighbour, '192.0.2.1'],
    ] as const) {
      await within(sandbox.netnsFd, () => {
        execFileSync('sh', [
          '-c',
          'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip link set lo down; ip addr flush dev lo; ip route del local 127.0.0.0/8 table local 2>/dev/null; true',
        ])
        execFileSync('ip', ['route', 'add', '127.0.0.0/8', 'via', gateway])
      })
      await expect(ask(sandbox.netnsFd, '127.0.0.1', 99)).rejects.toThrow('timeout')
      await expect(ask(sandbox.netnsFd, '127.0.0.1', 8080)).rejects.toThrow('timeout')
    }
  })

  test('sync() does nothing when nothing is to do, and notices that somebody flushed the rules', async () => {
    expect(firewall.sync(state(everywhere())).outcome).toBe('replaced')
    expect(firewall.sync(state(everywhere())).outcome).toBe('kept')
    const other = openFirewall()
    other.remove()
    other.close()
    expect(firewall.sync(state(everywhere())).outcome).toBe('replaced')
    expect(await ask(host.netnsFd, '127.0.0.1', 8080)).toMatch(/^a1/)
  })

  test('sync() of a new daemon replaces what the last one left', async () => {
    firewall.sync(state(everywhere(), publish('0.0.0.0', 8081, '10.9.0.3')))
    const next = openFirewall()
    try {
      next.sync(state(everywhere()))
      expect(await ask(host.netnsFd, '127.0.0.1', 8080)).toMatch(/^a1/)
      await expect(ask(host.netnsFd, '127.0.0.1', 8081)).rejects.toThrow('ECONNREFUSED')
    } finally {
      next.close()
    }
  })

  test('sync() shares a port between containers, and changes who they are', async () => {
    const askMany = async (address: string): Promise<string[]> => {
      const answers = new Set<string>()
      for (let count = 0; count < 60; count++)
        answers.add((await ask(host.netnsFd, address, 8080)).slice(0, 2))
      return [...answers].sort()
    }
    const all = [
      everywhere(),
      publish('0.0.0.0', 8080, '10.9.0.3'),
      publish('0.0.0.0', 8080, '10.9.1.2'),
      publish('::', 8080, 'fd00:0::2'),
      publish('::', 8080, 'fd00:1::2'),
    ]
    firewall.sync(state(...all))
    expect(firewall.sync(state(...all)).outcome).toBe('kept')
    expect(await askMany('127.0.0.1')).toEqual(['a1', 'a2', 'b1'])
    expect(await askMany('fd00:0::1')).toEqual(['a1', 'b1'])
    expect(firewall.sync(state(...all.slice(1))).outcome).toBe('changed')
    expect(await askMany('10.9.0.1')).toEqual(['a2', 'b1'])
    firewall.sync(state(everywhere()))
    expect(await askMany('127.0.0.1')).toEqual(['a1'])
  })

  test('sync() refuses a port that more containers share than it has slots, and changes nothing', async () => {
    firewall.sync(state(everywhere()))
    const many = Array.from({ length: 257 }, (_, index) =>
      publish('0.0.0.0', 8080, `10.8.${String(index >> 8)}.${String(index & 255)}`),
    )
    expect(() => firewall.sync(state(...many))).toThrow('at most 256 can share a port')
    expect(await ask(host.netnsFd, '127.0.0.1', 8080)).toMatch(/^a1/)
  })

  test('sync() with guardForwarding drops what is forwarded and not ours', async () => {
    const other = {
      ...lan,
      bridge: 'lan1',
      subnets: [{ subnet: '198.51.100.0/24', gateway: '198.51.100.1' }],
    }
    driver.ensureNetwork(other)
    const far = attach('lan1', ['198.51.100.'], 9)
    try {
      servers.push(await listen(far.netnsFd, 80, 'far'))
      firewall.sync(state(everywhere()))
      expect(await ask(box.neighbour.netnsFd, '198.51.100.9', 80)).toBe('far 192.0.2.9')
      firewall.sync({ ...state(everywhere()), guardForwarding: true })
      await expect(ask(box.neighbour.netnsFd, '198.51.100.9', 80)).rejects.toThrow('timeout')
      expect(await ask(box.a1.netnsFd, '198.51.100.9', 80)).toBe('far 198.51.100.1')
      expect(await ask(box.neighbour.netnsFd, '192.0.2.1', 8080)).toMatch(/^a1/)
    } finally {
      far.close()
    }
  })

  test('remove() leaves nothing and can be repeated', () => {
    firewall.sync(state(everywhere()))
    firewall.remove()
    firewall.remove()
    if (hasNft) expect(execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' })).toBe('')
  })

  test.skipIf(!hasIptables)(
    'sync() opens a FORWARD chain with policy DROP, after the rules of others, and remove() closes it (needs iptables-nft)',
    async () => {
      const iptables = (...args: string[]): string =>
        execFileSync('/usr/sbin/iptables-nft', args, { encoding: 'utf8' })
      iptables('-P', 'FORWARD', 'DROP')
      iptables('-A', 'FORWARD', '-p', 'icmp', '-j', 'ACCEPT')
      firewall.sync(state(everywhere()))
      firewall.sync(state(everywhere()))
      expect(await ask(box.a1.netnsFd, '192.0.2.9', 80)).toMatch(/^neighbour/)
      expect(await ask(box.neighbour.netnsFd, '192.0.2.1', 8080)).toMatch(/^a1/)
      await expect(ask(box.a1.netnsFd, '10.9.1.2', 80)).rejects.toThrow('EHOSTUNREACH')
      expect(iptables('-S', 'FORWARD').trim().split('\n')).toEqual([
        '-P FORWARD DROP',
        '-A FORWARD -p icmp -j ACCEPT',
        '-A FORWARD -i ts-+ -m comment --comment tsstack -j ACCEPT',
        '-A FORWARD -o ts-+ -m comment --comment tsstack -j ACCEPT',
      ])
      firewall.remove()
      expect(iptables('-S', 'FORWARD').trim().split('\n')).toEqual([
        '-P FORWARD DROP',
        '-A FORWARD -p icmp -j ACCEPT',
      ])
    },
  )

  test.skipIf(!hasIptables)(
    'sync() leaves it to ufw what reaches published ports, and lets containers out (needs iptables-nft)',
    async () => {
      const iptables = (...args: string[]): string =>
        execFileSync('/usr/sbin/iptables-nft', args, { encoding: 'utf8' })
      iptables('-P', 'FORWARD', 'DROP')
      iptables('-N', 'ufw-user-forward')
      const established = ['-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT']
      iptables('-A', 'FORWARD', ...established)
      iptables('-A', 'FORWARD', '-j', 'ufw-user-forward')
      expect(firewall.sync(state(everywhere())).guarded).toBe(true)
      expect(await ask(box.a1.netnsFd, '192.0.2.9', 80)).toMatch(/^neighbour/)
      await expect(ask(box.neighbour.netnsFd, '192.0.2.1', 8080)).rejects.toThrow('timeout')
      iptables('-A', 'ufw-user-forward', '-p', 'tcp', '--dport', '80', '-j', 'ACCEPT')
      expect(await ask(box.neighbour.netnsFd, '192.0.2.1', 8080)).toMatch(/^a1/)
      firewall.remove()
      expect(iptables('-S', 'FORWARD')).not.toContain('ts-')
    },
  )

  test.skipIf(!hasNft)(
    'sync() names the chain of somebody else that drops our packets (needs nft)',
    () => {
      execFileSync('nft', [
        'add table inet other; add chain inet other fw { type filter hook forward priority 5; policy drop; }',
      ])
      expect(firewall.sync(state()).blockedBy).toEqual(['inet other fw'])
    },
  )

  test.skipIf(!hasNft)('sync() writes rules that nft prints and reads again (needs nft)', () => {
    const shared = ['fd00:0::2', 'fd00:0::3'].flatMap((to) => [
      publish('::', 8081, to),
      publish('fd00:0::1', 8081, to),
    ])
    firewall.sync(state(everywhere(), publish('::', 8080, 'fd00:0::2'), ...shared))
    const text = execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' })
    // Without /etc/protocols nft has no names for them.
    expect(text).toMatch(/0\.0\.0\.0 \. (tcp|6) \. 8080 : 10\.9\.0\.2 \. 80/)
    expect(text).toMatch(/510 \. fd00::1 \. (tcp|6) \. 8081 : fd00::3 \. 80/)
    execFileSync('nft', ['-c', '-f', '-'], { input: text })
  })

  test('sync() makes the thousandth port cost about as much as the first', () => {
    const many = (count: number): FirewallState =>
      state(
        ...Array.from({ length: count }, (_, index) =>
          publish('0.0.0.0', 10_000 + index, '10.9.0.2'),
        ),
      )
    const median = (from: number): number => {
      const times = Array.from({ length: 15 }, (_, index) => {
        const next = many(from + index)
        const start = performance.now()
        firewall.sync(next)
        return performance.now() - start
      })
      return times.sort((left, right) => left - right)[7] ?? Infinity
    }
    const first = median(1)
    const thousandth = median(1000)
    process.stdout.write(
      `a published port: ${first.toFixed(2)} ms among 10, ${thousandth.toFixed(2)} ms among 1000\n`,
    )
    expect(thousandth).toBeLessThan(first * 10 + 5)
  })
})

describe('enableForwarding', () => {
  test('restoreForwarding() puts everything back as it was', () => {
    const inner = enterTestHost()
    try {
      const read = (): string[] =>
        ['ipv4/ip_forward', 'ipv6/conf/all/forwarding', 'ipv6/conf/lo/accept_ra'].map((path) =>
          readFileSync(`/proc/sys/net/${path}`, 'utf8').trim(),
        )
      const before = read()
      const changes = enableForwarding({ ipv6: true })
      expect(read().slice(0, 2)).toEqual(['1', '1'])
      expect(enableForwarding({ ipv6: true })).toEqual([])
      restoreForwarding(changes)
      expect(read()).toEqual(before)
    } finally {
      inner.leave()
    }
  })
})
