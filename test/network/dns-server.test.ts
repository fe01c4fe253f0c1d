import { createSocket, type Socket } from 'node:dgram'
import { createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import {
  createDnsServer,
  type DnsServer,
  type DnsSource,
} from '../../src/network/dns/dns-server.ts'
import { decodeQuery, encodeAnswer } from '../../src/network/dns/dns-message.ts'
import type { Upstream } from '../../src/network/dns/upstream.ts'
import { askTcp, askUdp, query } from './dns-client.ts'

const open: { close(): void }[] = []
afterEach(() => {
  for (const item of open.splice(0)) item.close()
})

const SOURCE: DnsSource = {
  resolve: (sourceIp, name) => {
    if (name === 'api') return { ipv4: ['10.0.0.2', '10.0.0.3', '10.0.0.4'], ipv6: [] }
    if (name === 'six') return { ipv4: [], ipv6: ['fd00::2'] }
    if (name === 'many')
      return { ipv4: Array.from({ length: 200 }, (_, index) => `10.0.0.${index}`), ipv6: [] }
    if (name === 'who') return { ipv4: [sourceIp], ipv6: [] }
    return undefined
  },
  reverse: (_, ip) => (ip === '10.0.0.2' ? 'shop-api-1.shop_default' : undefined),
  upstreams: () => [],
}

async function serve(
  source: Partial<DnsSource> = {},
): Promise<{ server: DnsServer; at: Upstream }> {
  const server = createDnsServer({ ...SOURCE, ...source })
  open.push(server)
  const port = await server.listen({
    address: '127.0.0.1',
    subnets: ['127.0.0.0/29', '10.0.0.0/24'],
    port: 0,
  })
  return { server, at: { address: '127.0.0.1', port } }
}

type Behaviour = (message: Buffer, reply: (bytes: Buffer) => void) => void

/** A name server of the test: what it does with a datagram is up to the test. */
async function upstream(behave: Behaviour): Promise<Upstream & { socket: Socket }> {
  const socket = createSocket('udp4')
  socket.on('message', (message, from) => {
    behave(message, (bytes) => {
      socket.send(bytes, from.port, from.address)
    })
  })
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve)
  })
  open.push(socket)
  return { address: '127.0.0.1', port: socket.address().port, socket }
}

const says =
  (code: number, ...addresses: number[]): Behaviour =>
  (message, reply) => {
    reply(answerTo(message, code, addresses))
  }

function answerTo(message: Buffer, code: number, addresses: readonly number[]): Buffer {
  const decoded = decodeQuery(message)
  if (decoded.kind !== 'query') throw new Error(decoded.kind)
  const records = addresses.map((last) => ({ type: 1, data: Uint8Array.of(192, 0, 2, last) }))
  return encodeAnswer(decoded.query, { code, ttl: 60, records, limit: 65_535 })
}

describe('createDnsServer', () => {
  test('a name of the stack is answered with authority and all replicas, in turns, whatever its case', async () => {
    const { at } = await serve()
    const found = [
      await askUdp(at, query('api', 1)),
      await askUdp(at, query('API', 1)),
      await askUdp(at, query('aPi', 1)),
    ]
    for (const answer of found)
      expect([answer.code, answer.authoritative, [...answer.records].sort()]).toEqual([
        0,
        true,
        ['10.0.0.2', '10.0.0.3', '10.0.0.4'],
      ])
    expect(new Set(found.map((answer) => answer.records[0])).size).toBe(3)
  })

  test('a known name without addresses of the type asked for exists, but has none', async () => {
    const { at } = await serve()
    for (const type of [28, 15, 65])
      expect(await askUdp(at, query('api', type))).toMatchObject({
        code: 0,
        records: [],
        authoritative: true,
      })
    expect((await askUdp(at, query('six', 28))).records).toEqual([
      'fd000000000000000000000000000002',
    ])
  })

  test('PTR gives the name, and an unknown address of the network does not exist', async () => {
    const { at } = await serve()
    expect((await askUdp(at, query('2.0.0.10.in-addr.arpa', 12))).records).toEqual([
      '\x0ashop-api-1\x0cshop_default\0',
    ])
    expect(await askUdp(at, query('9.0.0.10.in-addr.arpa', 12))).toMatchObject({
      code: 3,
      records: [],
    })
  })

  test('who asks is told from the source address, and strangers get no answer', async () => {
    const { at } = await serve()
    expect((await askUdp(at, query('who', 1), { from: '127.0.0.5' })).records).toEqual([
      '127.0.0.5',
    ])
    await expect(
      askUdp(at, query('who', 1), { from: '127.0.0.9', timeoutMs: 200 }),
    ).rejects.toThrow()
  })

  test('an answer too long for UDP is marked, and whole by TCP, several on one connection', async () => {
    const { at } = await serve()
    expect(await askUdp(at, query('many', 1))).toMatchObject({ truncated: true })
    const [many, api] = await askTcp(at, [query('many', 1), query('api', 1)])
    expect([many?.truncated, many?.records.length, api?.records.length]).toEqual([false, 200, 3])
  })

  test('nonsense is refused or ignored, and the server goes on', async () => {
    const { at } = await serve()
    const broken = query('api', 1)
    broken[5] = 3
    expect((await askUdp(at, broken)).code).toBe(1)
    await expect(askUdp(at, Buffer.from('nonsense'), { timeoutMs: 100 })).rejects.toThrow()
    expect((await askUdp(at, query('api', 1))).code).toBe(0)
  })

  test('an unknown name does not exist where there is nobody to ask', async () => {
    const { at } = await serve()
    expect(await askUdp(at, query('example.com', 1))).toMatchObject({ code: 3 })
  })

  test('an unknown name is forwarded, with the id of the asker', async () => {
    const server = await upstream(says(0, 7))
    const { at } = await serve({ upstreams: () => [server] })
    const message = query('example.com', 1)
    const answer = await askUdp(at, message)
    expect(answer.records).toEqual(['192.0.2.7'])
    expect(answer.message.readUInt16BE(0)).toBe(message.readUInt16BE(0))
  })

  test('the next name server is asked when one refuses, fails or is not there', async () => {
    const [refusing, failing, good] = [
      await upstream(says(5)),
      await upstream(says(2)),
      await upstream(says(0, 8)),
    ]
    const dead = await upstream(() => undefined)
    dead.socket.close()
    open.splice(open.indexOf(dead.socket), 1)
    const { at } = await serve({ upstreams: () => [refusing, dead, failing, good] })
    expect((await askUdp(at, query('example.com', 1))).records).toEqual(['192.0.2.8'])
  })

  test('"does not exist" is an answer: nobody else is asked', async () => {
    const [first, second] = [await upstream(says(3)), await upstream(says(0, 8))]
    const { at } = await serve({ upstreams: () => [first, second] })
    expect(await askUdp(at, query('example.com', 1))).toMatchObject({ code: 3, records: [] })
  })

  test('a slow name server stalls nobody, and the next one is asked after a second', async () => {
    const [slow, good] = [await upstream(() => undefined), await upstream(says(0, 9))]
    const { at } = await serve({ upstreams: () => [slow, good] })
    const start = performance.now()
    const waiting = Array.from(
      { length: 100 },
      async (_, index) => await askUdp(at, query(`n${index}.example`, 1)),
    )
    expect((await askUdp(at, query('api', 1))).code).toBe(0)
    expect(performance.now() - start).toBeLessThan(900)
    expect((await Promise.all(waiting)).every((answer) => answer.records[0] === '192.0.2.9')).toBe(
      true,
    )
  })

  test('an answer to another question, or with another id, is not believed', async () => {
    const liar = await upstream((message, reply) => {
      reply(answerTo(query('other.example', 1), 0, [66]))
      const wrong = answerTo(message, 0, [66])
      wrong.writeUInt16BE(wrong.readUInt16BE(0) ^ 1, 0)
      reply(wrong)
      const renamed = answerTo(message, 0, [66])
      renamed[13] = 0x7a
      reply(renamed)
      reply(answerTo(message, 0, [1]))
    })
    const { at } = await serve({ upstreams: () => [liar] })
    expect((await askUdp(at, query('example.com', 1))).records).toEqual(['192.0.2.1'])
  })

  test('a truncated answer is passed on by UDP, and asked for again by TCP for who asks by TCP', async () => {
    const udp = await upstream((message, reply) => {
      const answer = answerTo(message, 0, [])
      answer[2] = (answer[2] ?? 0) | 2
      reply(answer)
    })
    const tcp = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (part) => {
        const answer = answerTo(part.subarray(2), 0, [1, 2, 3])
        socket.end(Buffer.concat([Uint8Array.of(answer.length >> 8, answer.length & 255), answer]))
      })
    })
    await new Promise<void>((resolve) => {
      tcp.listen(udp.port, '127.0.0.1', resolve)
    })
    open.push({ close: () => tcp.close() })
    const { at } = await serve({ upstreams: () => [udp] })
    expect(await askUdp(at, query('example.com', 1))).toMatchObject({
      truncated: true,
      records: [],
    })
    expect((await askTcp(at, [query('example.com', 1)]))[0]).toMatchObject({
      truncated: false,
      records: ['192.0.2.1', '192.0.2.2', '192.0.2.3'],
    })
  })

  test('all name servers gone: SERVFAIL', async () => {
    const dead = await upstream(() => undefined)
    dead.socket.close()
    open.splice(open.indexOf(dead.socket), 1)
    const { at } = await serve({ upstreams: () => [dead] })
    expect(await askUdp(at, query('example.com', 1))).toMatchObject({ code: 2 })
  })

  test('listen() names the address that another program has; unlisten() gives it back', async () => {
    const { server, at } = await serve()
    const other = createDnsServer(SOURCE)
    open.push(other)
    await expect(other.listen({ ...at, subnets: [] })).rejects.toThrow(
      `127.0.0.1 port ${at.port}: another program has the port`,
    )
    server.unlisten('127.0.0.1')
    server.unlisten('127.0.0.1')
    expect(await other.listen({ ...at, subnets: ['127.0.0.0/8'] })).toBe(at.port)
    expect((await askUdp(at, query('api', 1))).code).toBe(0)
  })
})
