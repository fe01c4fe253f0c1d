/** Hosts that say nothing, answer early, or say too much. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chunksOf, exchange, readBody, type Network } from '../../src/registry/http-exchange.ts'
import { openNetwork } from '../../src/registry/network.ts'
import { readRegistrySettings } from '../../src/registry/registry-settings.ts'
import { TransientError } from '../../src/registry/transient-error.ts'

let server: http.Server
let network: Network
let url: URL

beforeEach(async () => {
  network = openNetwork(readRegistrySettings({}))
  server = http.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = new URL(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`)
})

afterEach(() => {
  network.close()
  server.closeAllConnections()
  server.close()
})

test('exchange() gives up a host that is silent, before it answers and after', async () => {
  const quick = { method: 'GET', url, silenceMs: 50 } as const
  await expect(exchange(network, quick)).rejects.toThrow('it is silent')
  await expect(exchange(network, quick)).rejects.toBeInstanceOf(TransientError)
  server.on('request', (_, response) => {
    response.writeHead(200, { 'content-length': 10 }).write('half')
  })
  const read = async (): Promise<string[]> => {
    const chunks: string[] = []
    for await (const chunk of chunksOf(await exchange(network, quick))) chunks.push(String(chunk))
    return chunks
  }
  await expect(read()).rejects.toBeInstanceOf(TransientError)
})

test('exchange() sends no more to a host that has answered', async () => {
  server.on('request', (_, response) => {
    response.writeHead(413, { 'content-length': 2 }).end('no')
  })
  let hasEnded = false
  async function* endless(): AsyncGenerator<Buffer> {
    try {
      for (;;) yield await Promise.resolve(Buffer.alloc(64 << 10))
    } finally {
      hasEnded = true
    }
  }
  const body = { open: endless, length: 2 ** 40 }
  const response = await exchange(network, { method: 'PUT', url, body })
  expect(response.status).toBe(413)
  expect(String(await readBody(response, 100))).toBe('no')
  expect(hasEnded).toBe(true)
})

test('readBody() stops at its limit, whatever the length was said to be', async () => {
  server.on('request', (request, response) => {
    if (request.url === '/said') response.writeHead(200, { 'content-length': 101 })
    response.end('x'.repeat(101))
  })
  for (const path of ['/said', '/chunked']) {
    const response = await exchange(network, { method: 'GET', url: new URL(path, url) })
    await expect(readBody(response, 100)).rejects.toThrow('the answer is larger than 100 bytes')
  }
})
