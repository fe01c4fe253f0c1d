import { describe, expect, test } from 'vitest'
import { parseBytes } from '../../src/spec/bytes.ts'
import { formatDuration, parseDurationMs, parseDurationNs } from '../../src/spec/duration.ts'
import { isIPAddress } from '../../src/spec/ip-address.ts'
import { parsePort } from '../../src/spec/ports.ts'
import { splitShellWords } from '../../src/spec/shell-words.ts'
import { editDistance, suggest } from '../../src/spec/suggest.ts'
import { parseVolume } from '../../src/spec/volume-syntax.ts'
import { goFloat, resolvePlainScalar } from '../../src/spec/yaml-scalar.ts'

describe('parseBytes()', () => {
  test.each([
    ['0', 0],
    ['512', 512],
    ['1k', 1024],
    ['1.5g', 1.5 * 1024 ** 3],
    ['64 MB', 64 * 1024 ** 2],
    ['2kib', 2048],
    ['.5m', 512 * 1024],
    ['-1', -1],
  ])('reads %s', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes)
  })

  test.each(['', 'x', '1 2', '1x', '1.2.3m', '64 megabytes', '99999999999p', '-1m'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseBytes(text)).toThrow(/not a byte size/)
    },
  )
})

describe('parseDurationNs()', () => {
  test.each([
    ['1m30s', 90e9, '1m30s'],
    ['1.5s', 1.5e9, '1.5s'],
    ['1d2h', 26 * 3600e9, '26h0m0s'],
    ['1w', 168 * 3600e9, '168h0m0s'],
    ['100ms', 1e8, '100ms'],
    ['5us', 5000, '5µs'],
    ['7ns', 7, '7ns'],
    ['0', 0, '0s'],
    ['0s', 0, '0s'],
    ['-5s', -5e9, '-5s'],
  ])('reads %s, which formatDuration() writes in Go form', (text, nanos, canonical) => {
    expect(parseDurationNs(text)).toBe(nanos)
    expect(formatDuration(nanos)).toBe(canonical)
    expect(parseDurationNs(canonical)).toBe(nanos)
  })

  test.each(['', '10', 's', '1x', '1s ', '1 s', '999999999w', '1m-3s'])('refuses "%s"', (text) => {
    expect(() => parseDurationNs(text)).toThrow(/not a duration/)
  })

  test('is in milliseconds as parseDurationMs()', () => {
    expect(parseDurationMs('1.5s')).toBe(1500)
  })
})

describe('parsePort()', () => {
  const tcp = { mode: 'ingress', protocol: 'tcp' }

  test.each([
    ['80', [{ ...tcp, target: 80 }]],
    ['8080:80', [{ ...tcp, target: 80, published: '8080' }]],
    ['127.0.0.1:8080:80', [{ ...tcp, host_ip: '127.0.0.1', target: 80, published: '8080' }]],
    ['127.0.0.1::80', [{ ...tcp, host_ip: '127.0.0.1', target: 80 }]],
    [
      '[::1]:6000:6001/udp',
      [{ mode: 'ingress', protocol: 'udp', host_ip: '::1', target: 6001, published: '6000' }],
    ],
    ['[::1]::80', [{ ...tcp, host_ip: '::1', target: 80 }]],
    [
      '9090-9091:8080-8081',
      [
        { ...tcp, target: 8080, published: '9090' },
        { ...tcp, target: 8081, published: '9091' },
      ],
    ],
    ['8000-9000:80', [{ ...tcp, target: 80, published: '8000-9000' }]],
    [
      '3000-3001',
      [
        { ...tcp, target: 3000 },
        { ...tcp, target: 3001 },
      ],
    ],
  ])('reads %s', (text, ports) => {
    expect(parsePort(text)).toEqual(ports)
  })

  test.each([
    '',
    'tcp',
    '80/xyz',
    '70000',
    '80:',
    'a:80',
    '1-3:1-2',
    '::1:6000:6000',
    '1.2.3:1:1',
    '5-3',
    '256.0.0.1:1:1',
  ])('refuses "%s"', (text) => {
    expect(typeof parsePort(text)).toBe('string')
  })
})

describe('parseVolume()', () => {
  test.each([
    ['/data', { type: 'volume', target: '/data' }],
    ['data:/data', { type: 'volume', source: 'data', target: '/data', volume: {} }],
    ['./a:/b:ro', { type: 'bind', source: './a', target: '/b', read_only: true, bind: {} }],
    [
      '~/a:/b:rw,z,rslave',
      { type: 'bind', source: '~/a', target: '/b', bind: { propagation: 'rslave', selinux: 'z' } },
    ],
    ['data:/b:nocopy', { type: 'volume', source: 'data', target: '/b', volume: { nocopy: true } }],
    ['C:\\a:/b', { type: 'bind', source: 'C:\\a', target: '/b', bind: {} }],
    ['${A:-x:y}:/b', { type: 'volume', source: '${A:-x:y}', target: '/b', volume: {} }],
    ['./a:/b:cached', { type: 'bind', source: './a', target: '/b', bind: {} }],
  ])('reads %s', (text, mount) => {
    expect(parseVolume(text)).toEqual(mount)
  })

  test.each(['', ':/a', '/a::ro', '/foo:/foo:ro:foo', '/a:'])('refuses "%s"', (text) => {
    expect(typeof parseVolume(text)).toBe('string')
  })
})

describe('splitShellWords()', () => {
  test.each([
    ['echo hello  world', ['echo', 'hello', 'world']],
    [`sh -c 'echo "$A" x'`, ['sh', '-c', 'echo "$A" x']],
    ['a "b c"d e\\ f', ['a', 'b cd', 'e f']],
    ['a ""', ['a', '']],
    ['a; b', ['a']],
    ['a | b', ['a']],
    ['a 2>/dev/null', ['a']],
    ['', []],
  ])('splits %s', (text, words) => {
    expect(splitShellWords(text)).toEqual(words)
  })

  test.each([`a 'b`, 'a "b', 'a \\'])('refuses what is not closed: %s', (text) => {
    expect(splitShellWords(text)).toBeUndefined()
  })
})

describe('resolvePlainScalar()', () => {
  test.each([
    ['', null],
    ['~', null],
    ['true', true],
    ['yes', 'yes'],
    ['017', 15],
    ['0o17', 15],
    ['0x10', 16],
    ['0b101', 5],
    ['1_000', 1000],
    ['-3', -3],
    ['08', 8],
    ['1e3', 1000],
    ['12:30', '12:30'],
    ['1.2.3', '1.2.3'],
    ['-', '-'],
    ['2001-12-14', '2001-12-14 00:00:00 +0000 UTC'],
    ['2001-99-14', '2001-99-14'],
  ])('reads %s as go-yaml does', (text, value) => {
    expect(resolvePlainScalar(text).value).toBe(value)
  })

  test('keeps the digits of integers that no float holds', () => {
    expect(resolvePlainScalar('12345678901234567890').text).toBe('12345678901234567890')
  })

  test.each([
    [1.1, '1.1'],
    [1e6, '1e+06'],
    [0.00001, '1e-05'],
    [0, '0'],
    [Infinity, '+Inf'],
  ])('goFloat() writes %d as Go does', (value, text) => {
    expect(goFloat(value)).toBe(text)
  })
})

describe('suggest()', () => {
  test.each([
    ['comand', 'command'],
    ['enviroment', 'environment'],
    ['Ports', 'ports'],
    ['network-mode', 'network_mode'],
    ['imgae', 'image'],
  ])('finds what %s was meant to be', (name, meant) => {
    const names = ['image', 'command', 'environment', 'ports', 'network_mode']
    expect(suggest(name, names)).toBe(meant)
  })

  test('gives nothing when nothing is near', () => {
    expect(suggest('zebra', ['image', 'command'])).toBeUndefined()
  })

  test('editDistance() counts a swap of neighbours as one', () => {
    expect(editDistance('ab', 'ba', 5)).toBe(1)
  })
})

describe('isIPAddress()', () => {
  test.each(['127.0.0.1', '::', '::1', 'fe80::1', '::ffff:1.2.3.4', '1:2:3:4:5:6:7:8'])(
    'accepts %s',
    (text) => {
      expect(isIPAddress(text)).toBe(true)
    },
  )

  test.each(['', '1.2.3', '256.1.1.1', '1::2::3', '12345::', '1:2:3:4:5:6:7', 'host'])(
    'refuses "%s"',
    (text) => {
      expect(isIPAddress(text)).toBe(false)
    },
  )
})
