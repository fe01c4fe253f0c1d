import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addressOfReverseName,
  answers,
  decodeQuery,
  encodeAnswer,
  encodeName,
  isTruncated,
  responseCode,
  truncate,
  type DnsQuery,
} from '../../src/network/dns/dns-message.ts'
import { query } from './dns-client.ts'

function decoded(message: Buffer): DnsQuery {
  const result = decodeQuery(message)
  if (result.kind !== 'query') throw new Error(result.kind)
  return result.query
}

describe('decodeQuery', () => {
  test('decodeQuery() reads name, type, flags and the size that EDNS gives', () => {
    expect(decoded(query('Api.Example', 28))).toMatchObject({
      name: 'api.example',
      type: 28,
      flags: 0x100,
      edns: false,
      udpBytes: 512,
    })
    expect(decoded(query('a', 1, { edns: 4096 }))).toMatchObject({ edns: true, udpBytes: 1232 })
    expect(decoded(query('a', 1, { edns: 100 }))).toMatchObject({ edns: true, udpBytes: 512 })
    expect(decoded(query('', 2)).name).toBe('')
  })

  test('decodeQuery() never throws and never reads a name longer than 255 bytes, whatever comes', () => {
    const valid = query('api.shop.example', 1, { edns: 1232 })
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const result = decodeQuery(Buffer.from(bytes))
        return result.kind !== 'query' || result.query.name.length <= 255 * 4
      }),
    )
    fc.assert(
      fc.property(
        fc.nat(valid.length - 1),
        fc.nat(255),
        fc.nat(valid.length),
        (at, byte, length) => {
          const broken = Buffer.from(valid)
          broken[at] = byte
          return ['query', 'refuse', 'ignore'].includes(
            decodeQuery(broken.subarray(0, length)).kind,
          )
        },
      ),
    )
  })

  test.each([
    [
      'an answer',
      (message: Buffer) => {
        message[2] = 0x81
      },
      'ignore',
    ],
    [
      'another opcode',
      (message: Buffer) => {
        message[2] = 0x29
      },
      'refuse',
    ],
    [
      'two questions',
      (message: Buffer) => {
        message[5] = 2
      },
      'refuse',
    ],
    [
      'a pointer in the question',
      (message: Buffer) => {
        message[12] = 0xc0
      },
      'refuse',
    ],
    [
      'a label that leaves the message',
      (message: Buffer) => {
        message[12] = 60
      },
      'refuse',
    ],
  ])('decodeQuery() does not read %s', (_, change, kind) => {
    const message = query('api', 1)
    change(message)
    expect(decodeQuery(message).kind).toBe(kind)
  })

  test('decodeQuery() does not mistake a dot within a label for a border', () => {
    const message = query('aXb', 1)
    message[14] = 0x2e
    expect(decoded(message).name).toBe('a\\046b')
  })
})

describe('encodeAnswer', () => {
  test('encodeAnswer() repeats the question letter by letter and leaves out what does not fit', () => {
    const message = query('ApI', 1)
    const record = { type: 1, data: Uint8Array.of(10, 0, 0, 2) }
    const answer = encodeAnswer(decoded(message), {
      code: 0,
      ttl: 5,
      records: new Array<typeof record>(100).fill(record),
      limit: 512,
    })
    expect(answer.length).toBeLessThanOrEqual(512)
    expect(isTruncated(answer)).toBe(true)
    expect(answer.readUInt16BE(6)).toBe(30)
    expect(answers(answer, message)).toBe(true)
    expect(answer.subarray(12, 17)).toEqual(message.subarray(12, 17))
  })

  test('truncate() keeps id, code and question', () => {
    const message = query('api', 1)
    const answer = encodeAnswer(decoded(message), {
      code: 3,
      ttl: 5,
      records: [{ type: 1, data: Uint8Array.of(1, 2, 3, 4) }],
      limit: 512,
    })
    const cut = truncate(answer, message)
    expect([
      cut.length,
      cut.readUInt16BE(0),
      isTruncated(cut),
      responseCode(cut),
      cut.readUInt16BE(6),
    ]).toEqual([message.length, message.readUInt16BE(0), true, 3, 0])
  })
})

describe('encodeName', () => {
  test.each(['', 'a..b', `${'a'.repeat(64)}.b`, new Array(130).fill('a').join('.')])(
    'encodeName() refuses "%s"',
    (name) => {
      expect(encodeName(name)).toBeUndefined()
    },
  )
})

describe('addressOfReverseName', () => {
  test('addressOfReverseName() reads IPv4 and IPv6 names', () => {
    expect(addressOfReverseName('4.3.2.10.in-addr.arpa')).toBe('10.2.3.4')
    expect(
      addressOfReverseName(`${'1.0.0.0.'.repeat(1)}${'0.0.0.0.'.repeat(6)}0.0.d.f.ip6.arpa`),
    ).toBe('fd00:0000:0000:0000:0000:0000:0000:0001')
    expect(addressOfReverseName('2.10.in-addr.arpa')).toBeUndefined()
    expect(addressOfReverseName('api')).toBeUndefined()
  })
})
