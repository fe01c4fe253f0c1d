import { describe, expect, test } from 'vitest'
import { makeHosts, makeResolvConf, parseResolvConf } from '../../src/network/resolver-files.ts'

describe('parseResolvConf', () => {
  test('parseResolvConf() reads servers, the last search line and options', () => {
    const text =
      '# c\nnameserver 10.0.0.1 # first\nnameserver fe80::1%eth0\nnameserver nonsense\nnameserver ::1\nnameserver 9.9.9.9\ndomain a.example\nsearch b.example c.example\noptions ndots:2 rotate\n'
    expect(parseResolvConf(text)).toEqual({
      nameServers: ['10.0.0.1', 'fe80::1%eth0', '::1'],
      search: ['b.example', 'c.example'],
      options: ['ndots:2', 'rotate'],
    })
  })

  test('makeResolvConf() writes what parseResolvConf() reads, and no value makes a line of its own', () => {
    const settings = { nameServers: ['10.0.0.1'], search: ['a.example'], options: ['ndots:0'] }
    expect(parseResolvConf(makeResolvConf(settings))).toEqual(settings)
    expect(makeResolvConf({ ...settings, search: ['x\nnameserver 6.6.6.6'] })).not.toContain(
      '\nnameserver 6.6.6.6',
    )
  })
})

describe('makeHosts', () => {
  test('makeHosts() has loopback, extra hosts in both spellings, and the own name with its domain', () => {
    const text = makeHosts({
      hostname: 'api',
      domainname: 'shop.example',
      addresses: ['10.0.0.2', 'fd00::2'],
      extraHosts: [
        'db:10.1.1.1',
        'cache=fd00::9',
        'six:[fd00::8]',
        'host.docker.internal:host-gateway',
        'broken',
      ],
      hostGateway: '10.0.0.1',
    })
    expect(text.split('\n').slice(6)).toEqual([
      '10.1.1.1\tdb',
      'fd00::9\tcache',
      'fd00::8\tsix',
      '10.0.0.1\thost.docker.internal',
      '10.0.0.2\tapi.shop.example api',
      'fd00::2\tapi.shop.example api',
      '',
    ])
    expect(text.startsWith('127.0.0.1\tlocalhost\n')).toBe(true)
  })
})
