import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatAddress,
  formatSubnet,
  overlaps,
  parseAddress,
  parseSubnet,
  requireSubnet,
} from '../../src/network/ip-address.ts'
import { allocateAddress, planSubnets } from '../../src/network/ipam.ts'

const NOTHING = { networks: [], host: [] }

describe('parseAddress', () => {
  test('formatAddress() gives back any IPv4 and IPv6 address', () => {
    fc.assert(
      fc.property(
        fc.ipV4(),
        (text) => formatAddress(parseAddress(text) ?? { family: 4, value: -1n }) === text,
      ),
    )
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => {
        return parseAddress(formatAddress({ family: 6, value }))?.value === value
      }),
    )
  })

  test('formatAddress() shortens IPv6 as RFC 5952 has it', () => {
    const format = (text: string): string =>
      formatAddress(parseAddress(text) ?? { family: 6, value: 0n })
    expect(format('2001:0db8:0:0:0:0:2:1')).toBe('2001:db8::2:1')
    expect(format('2001:db8:0:1:1:1:1:1')).toBe('2001:db8:0:1:1:1:1:1')
    expect(format('2001:db8:0:0:1:0:0:1')).toBe('2001:db8::1:0:0:1')
    expect(format('0:0:0:0:0:0:0:0')).toBe('::')
    expect(format('::ffff:10.0.0.1')).toBe('::ffff:a00:1')
    expect(format('fe80::')).toBe('fe80::')
  })

  test.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '::1::',
    'fe80::1%eth0',
    '1.2.3.4:80',
    '[::1]',
  ])('parseAddress() refuses "%s"', (text) => {
    expect(parseAddress(text)).toBeUndefined()
  })

  test.each(['10.0.0.0', '10.0.0.0/33', '::/129', '10.0.0.0/-1', '10.0.0.0/8/8', '/8'])(
    'parseSubnet() refuses "%s"',
    (text) => {
      expect(parseSubnet(text)).toBeUndefined()
    },
  )
})

describe('planSubnets', () => {
  test('planSubnets() takes the first free block past host routes and networks', () => {
    const taken = {
      networks: [requireSubnet('10.201.0.0/24')],
      host: [requireSubnet('10.201.1.128/25'), requireSubnet('10.201.2.0/23')],
    }
    expect(planSubnets({ network: 'n', config: [] }, taken)).toEqual([
      { subnet: '10.201.4.0/24', gateway: '10.201.4.1' },
    ])
  })

  test('planSubnets() never overlaps what is taken', () => {
    const subnet = fc
      .tuple(fc.integer({ min: 0, max: 65_535 }), fc.integer({ min: 12, max: 32 }))
      .map(([low, prefix]) => {
        return requireSubnet(`10.201.${low >> 8}.${low & 255}/${prefix}`)
      })
    fc.assert(
      fc.property(
        fc.array(subnet, { maxLength: 40 }),
        fc.integer({ min: 1, max: 3000 }),
        (host, expectedEndpoints) => {
          const [record] = planSubnets(
            { network: 'n', config: [], expectedEndpoints },
            { networks: [], host },
          )
          const chosen = requireSubnet(record?.subnet ?? '')
          return (
            host.every((other) => !overlaps(other, chosen)) &&
            2 ** (32 - chosen.prefix) >= expectedEndpoints + 3
          )
        },
      ),
    )
  })

  test('planSubnets() goes to the next pool when the host has taken one whole', () => {
    const taken = { networks: [], host: [requireSubnet('10.0.0.0/8')] }
    expect(planSubnets({ network: 'n', config: [] }, taken)[0]?.subnet).toBe('172.30.0.0/24')
  })

  test('planSubnets() says so when nothing is left', () => {
    const taken = { networks: [], host: [requireSubnet('10.0.0.0/8')] }
    expect(() => planSubnets({ network: 'n', config: [] }, taken, ['10.1.0.0/16'])).toThrow(
      'no free IPv4 subnet',
    )
  })

  test('planSubnets() makes room for the containers expected', () => {
    const prefix = (expectedEndpoints: number): string | undefined =>
      planSubnets({ network: 'n', config: [], expectedEndpoints }, NOTHING)[0]?.subnet.split('/')[1]
    expect([253, 254, 1000, 100_000].map(prefix)).toEqual(['24', '23', '22', '16'])
  })

  test('planSubnets() adds IPv6 when asked', () => {
    const records = planSubnets({ network: 'n', config: [], ipv6: true }, NOTHING)
    expect(records.map(({ subnet }) => subnet)).toEqual(['10.201.0.0/24', 'fd74:7373:7461::/64'])
  })

  test('planSubnets() honours subnet, gateway, range and auxiliary addresses', () => {
    const config = [
      {
        subnet: '10.5.0.0/16',
        gateway: '10.5.9.9',
        ipRange: '10.5.1.0/24',
        auxiliary: ['10.5.1.1'],
      },
    ]
    const [record] = planSubnets({ network: 'n', config }, NOTHING)
    if (record === undefined) throw new Error('no subnet')
    expect(record).toEqual({
      subnet: '10.5.0.0/16',
      gateway: '10.5.9.9',
      ipRange: '10.5.1.0/24',
      auxiliary: ['10.5.1.1'],
    })
    expect(allocateAddress(record, [], { network: 'n' })).toBe('10.5.1.0')
    expect(allocateAddress(record, ['10.5.1.0'], { network: 'n' })).toBe('10.5.1.2')
  })

  test.each([
    [
      { subnet: '10.5.0.0/24', gateway: '10.6.0.1' },
      'gateway "10.6.0.1" is not in subnet "10.5.0.0/24"',
    ],
    [{ subnet: '10.5.0.0/24', ipRange: '10.0.0.0/8' }, 'range "10.0.0.0/8" is not in'],
    [{ subnet: '10.5.0.0/24', auxiliary: ['10.6.0.1'] }, 'auxiliary address "10.6.0.1"'],
    [{ subnet: '10.5.0.0' }, 'not an address with a prefix length'],
    [{ gateway: '10.5.0.1' }, 'needs its subnet'],
    [{ auxiliary: ['10.5.0.9'] }, 'needs its subnet'],
    [{ subnet: '10.7.0.0/25' }, 'overlaps "10.7.0.0/24"'],
  ])('planSubnets() refuses %j', (entry, message) => {
    const taken = { networks: [requireSubnet('10.7.0.0/24')], host: [] }
    expect(() => planSubnets({ network: 'n', config: [entry] }, taken)).toThrow(message)
  })

  test('planSubnets() lets the user choose a subnet that the host has a route to', () => {
    const taken = { networks: [], host: [requireSubnet('10.5.0.0/16')] }
    expect(
      planSubnets({ network: 'n', config: [{ subnet: '10.5.0.0/24' }] }, taken)
        .map((record) => requireSubnet(record.subnet))
        .map(formatSubnet),
    ).toEqual(['10.5.0.0/24'])
  })
})

test('planSubnets() refuses a subnet in which the host has a route as long or longer', () => {
  const taken = { networks: [], host: [requireSubnet('10.5.3.0/24')] }
  const plan = (subnet: string, sharesHostSubnet = false): unknown =>
    planSubnets({ network: 'n', config: [{ subnet }], sharesHostSubnet }, taken)
  expect(() => plan('10.5.3.0/24')).toThrow('the host itself has "10.5.3.0/24"')
  expect(() => plan('10.5.0.0/16')).toThrow('the host itself has "10.5.3.0/24"')
  expect(() => plan('10.5.3.0/24', true)).not.toThrow()
})

describe('allocateAddress', () => {
  const record = { subnet: '10.5.0.0/29', gateway: '10.5.0.1' }

  test('allocateAddress() gives the lowest free, and never network, broadcast or gateway address', () => {
    const used: string[] = []
    for (let count = 0; count < 5; count++)
      used.push(allocateAddress(record, used, { network: 'n' }))
    expect(used).toEqual(['10.5.0.2', '10.5.0.3', '10.5.0.4', '10.5.0.5', '10.5.0.6'])
    expect(() => allocateAddress(record, used, { network: 'n' })).toThrow('no address is left')
  })

  test('allocateAddress() gives a recently released one only when nothing else is left', () => {
    const recent = new Set(['10.5.0.2'])
    expect(allocateAddress(record, [], { network: 'n', recent })).toBe('10.5.0.3')
    expect(
      allocateAddress(record, ['10.5.0.3', '10.5.0.4', '10.5.0.5', '10.5.0.6'], {
        network: 'n',
        recent,
      }),
    ).toBe('10.5.0.2')
  })

  test.each([
    ['10.5.0.0', 'not a host address'],
    ['10.5.0.7', 'not a host address'],
    ['10.6.0.2', 'not a host address'],
    ['10.5.0.1', 'it is taken'],
    ['10.5.0.3', 'it is taken'],
    ['nonsense', 'not an IP address'],
  ])('allocateAddress() refuses %s', (requested, message) => {
    expect(() => allocateAddress(record, ['10.5.0.3'], { network: 'n', requested })).toThrow(
      message,
    )
  })
})
