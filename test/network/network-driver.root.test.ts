import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bridgeName, macOf, vethName } from '../../src/network/interface-names.ts'
import { formatSubnet, requireAddress } from '../../src/network/ip-address.ts'
import {
  openNetworkDriver,
  type EndpointRecord,
  type NetworkDriver,
  type NetworkRecord,
} from '../../src/network/network-driver.ts'
import { ask, createTestSandbox, enterTestHost, listen, type TestSandbox } from './sandbox.ts'

const NETWORK: NetworkRecord = {
  id: 'n1',
  name: 'shop_default',
  bridge: bridgeName('n1'),
  subnets: [
    { subnet: '10.9.0.0/24', gateway: '10.9.0.1' },
    { subnet: 'fd00:9::/64', gateway: 'fd00:9::1' },
  ],
  internal: false,
}

let host: { leave(): void }
let driver: NetworkDriver
let sandboxes: TestSandbox[] = []

beforeEach(() => {
  host = enterTestHost()
  driver = openNetworkDriver()
})

afterEach(() => {
  for (const sandbox of sandboxes) sandbox.close()
  sandboxes = []
  driver.close()
  host.leave()
})

function sandbox(): TestSandbox {
  const made = createTestSandbox()
  sandboxes.push(made)
  return made
}

function endpoint(number: number, network = NETWORK): EndpointRecord {
  const [v4 = '', v6 = ''] = network.subnets.map(({ subnet }) => subnet.replace(/0?\/.*$/, ''))
  return {
    bridge: network.bridge,
    hostInterface: vethName(`c${number}`, network.id),
    interfaceName: 'eth0',
    mac: macOf(requireAddress(`${v4}${number}`)),
    addresses: [`${v4}${number}/24`, `${v6}${number}/64`],
    gateways: network.subnets.map(({ gateway }) => gateway),
  }
}

describe('openNetworkDriver', () => {
  test('attachEndpoints() lets two containers talk by IPv4 and IPv6 at once', async () => {
    driver.ensureNetwork(NETWORK)
    const [a, b] = [sandbox(), sandbox()]
    driver.attachEndpoints(a, [endpoint(2)])
    driver.attachEndpoints(b, [endpoint(3)])
    const server = await listen(b.netnsFd, 80)
    try {
      expect(await ask(a.netnsFd, '10.9.0.3', 80)).toBe('hello 10.9.0.2')
      expect(await ask(a.netnsFd, 'fd00:9::3', 80)).toBe('hello fd00:9::2')
    } finally {
      server.close()
    }
  })

  test('attachEndpoints() leaves nothing to wait for: the first connection of 20 pairs takes no second', async () => {
    for (let round = 0; round < 20; round++) {
      driver.ensureNetwork(NETWORK)
      const [a, b] = [sandbox(), sandbox()]
      driver.attachEndpoints(a, [endpoint(2)])
      driver.attachEndpoints(b, [endpoint(3)])
      const server = await listen(b.netnsFd, 80)
      try {
        expect(await ask(a.netnsFd, '10.9.0.3', 80)).toBe('hello 10.9.0.2')
      } finally {
        server.close()
      }
      driver.removeNetwork(NETWORK.bridge)
      for (const done of sandboxes.splice(0)) done.close()
    }
  })

  test('ensureNetwork() can be repeated and gives the same interface', () => {
    const index = driver.ensureNetwork(NETWORK)
    expect(driver.ensureNetwork(NETWORK)).toBe(index)
    expect(driver.listBridges()).toEqual([
      { bridge: NETWORK.bridge, network: 'shop_default', index },
    ])
  })

  test('ensureNetwork() refuses a name that belongs to another kind of interface', () => {
    expect(() => driver.ensureNetwork({ ...NETWORK, bridge: 'lo' })).toThrow(
      'belongs to another interface',
    )
  })

  test('attachEndpoints() replaces what a crash left under the same name', () => {
    driver.ensureNetwork(NETWORK)
    driver.attachEndpoints(sandbox(), [endpoint(2)])
    const again = sandbox()
    driver.attachEndpoints(again, [endpoint(2)])
  })

  test('attachEndpoints() finds a bridge that was removed and made again', () => {
    driver.ensureNetwork(NETWORK)
    const other = openNetworkDriver()
    other.removeNetwork(NETWORK.bridge)
    other.ensureNetwork(NETWORK)
    other.close()
    driver.attachEndpoints(sandbox(), [endpoint(2)])
  })

  test('attachEndpoints() names the bridge that is not there', () => {
    expect(() => {
      driver.attachEndpoints(sandbox(), [endpoint(2)])
    }).toThrow(NETWORK.bridge)
  })

  test('attachEndpoints() adds a second network to a running container, detachEndpoint() takes it away', async () => {
    const second = {
      ...NETWORK,
      id: 'n2',
      bridge: bridgeName('n2'),
      subnets: [
        { subnet: '10.8.0.0/24', gateway: '10.8.0.1' },
        { subnet: 'fd00:8::/64', gateway: 'fd00:8::1' },
      ],
    }
    driver.ensureNetwork(NETWORK)
    driver.ensureNetwork(second)
    const [a, b] = [sandbox(), sandbox()]
    driver.attachEndpoints(a, [endpoint(2)])
    driver.attachEndpoints(a, [{ ...endpoint(2, second), interfaceName: 'eth1', gateways: [] }])
    driver.attachEndpoints(b, [endpoint(3, second)])
    const server = await listen(b.netnsFd, 80)
    try {
      expect(await ask(a.netnsFd, '10.8.0.3', 80)).toBe('hello 10.8.0.2')
      driver.detachEndpoint(endpoint(2, second).hostInterface)
      await expect(ask(a.netnsFd, '10.8.0.3', 80)).rejects.toThrow()
    } finally {
      server.close()
    }
  })

  test('listHostSubnets() has the routes of the host, but not those of the bridges excepted', () => {
    driver.ensureNetwork(NETWORK)
    expect(driver.listHostSubnets().map(formatSubnet)).toContain('10.9.0.0/24')
    expect(driver.listHostSubnets([NETWORK.bridge]).map(formatSubnet)).not.toContain('10.9.0.0/24')
  })

  test('removeNetwork() leaves nothing and can be repeated', () => {
    driver.ensureNetwork(NETWORK)
    driver.removeNetwork(NETWORK.bridge)
    driver.removeNetwork(NETWORK.bridge)
    expect(driver.listBridges()).toEqual([])
    expect(driver.listHostSubnets().map(formatSubnet)).not.toContain('10.9.0.0/24')
  })

  test('attachEndpoints() costs no more than a few network namespaces', () => {
    driver.ensureNetwork(NETWORK)
    const rounds = Array.from({ length: 31 }, (_, index) => {
      const start = performance.now()
      const at = sandbox()
      const made = performance.now()
      driver.attachEndpoints(at, [endpoint(index + 2)])
      return { sandbox: made - start, attach: performance.now() - made }
    })
    // The shortest of each: what else the machine does makes no round shorter.
    const least = (of: 'sandbox' | 'attach'): number =>
      Math.min(...rounds.map((round) => round[of]))
    expect(least('attach') / least('sandbox')).toBeLessThan(10)
  })
})
