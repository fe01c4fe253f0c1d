/** Blobs into Debian's docker-registry, over connections that break; and into one that keeps what has arrived. */
import { createHash, randomBytes } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openRegistry } from '../../src/registry/open-registry.ts'
import { readRegistrySettings } from '../../src/registry/registry-settings.ts'
import type { BlobUpload, Registry } from '../../src/registry/registry.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../registry-fixture.ts'
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts'

/** Of the tests: 256 KiB. */
const CHUNK = 256 << 10
const KIB = 1 << 10
const without = missingPrograms('docker-registry')
const settings = readRegistrySettings({})

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** @param opened - is told each byte that reading began at */
function uploadOf(content: Buffer, opened: number[] = []): BlobUpload {
  return {
    digest: sha256(content),
    size: content.length,
    async *open(from) {
      opened.push(from)
      for (let at = from; at < content.length; at += 60_000)
        yield await Promise.resolve(content.subarray(at, at + 60_000))
    },
  }
}

async function download(registry: Registry, repository: string, digest: string): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of (await registry.blob(repository, digest)).chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

describe.skipIf(without !== '')(`upload()${without}`, () => {
  const small = randomBytes(200_000)
  const large = randomBytes(2 * CHUNK + 5000)
  let fixture: RegistryFixture
  let proxy: FaultProxy
  let registry: Registry
  let counter = 0
  let repository: string

  beforeAll(async () => {
    fixture = await startRegistry()
    proxy = await startFaultProxy(fixture.host)
  })
  afterEach(() => {
    registry.close()
  })
  afterAll(async () => {
    if (without !== '') return
    await proxy.close()
    await fixture.close()
  })

  /** A repository of its own, so that nothing is there yet. */
  function begin(fault: FaultProxy['fault'] = () => undefined): void {
    registry = openRegistry(proxy.host, { settings, chunkBytes: CHUNK })
    counter += 1
    repository = `upload/${String(counter)}`
    proxy.seen.length = 0
    proxy.fault = fault
  }
  const methods = (): string[] =>
    proxy.seen.map(({ method, status }) => `${method} ${String(status)}`)
  /** A fault for the nth request with that method. */
  function once(
    method: string,
    nth: number,
    fault: ReturnType<FaultProxy['fault']>,
  ): FaultProxy['fault'] {
    let left = nth
    return (request) => (request.method === method && --left === 0 ? fault : undefined)
  }

  test('looks first, sends a small blob in one request, and what is there not at all', async () => {
    begin()
    expect(await registry.upload(repository, uploadOf(small))).toBe('sent')
    expect(methods()).toEqual(['HEAD 404', 'POST 202', 'PUT 201'])
    expect(await registry.upload(repository, uploadOf(small))).toBe('present')
    expect(methods().slice(3)).toEqual(['HEAD 200'])
    expect((await download(registry, repository, sha256(small))).equals(small)).toBe(true)
  })

  test('sends a large blob in chunks, read once; a busy registry is asked how far it is', async () => {
    begin(once('PATCH', 2, { status: 503, headers: { 'retry-after': '0' } }))
    const opened: number[] = []
    expect(await registry.upload(repository, uploadOf(large, opened))).toBe('sent')
    expect(methods()).toEqual([
      ...['HEAD 404', 'POST 202', 'PATCH 202', 'PATCH 503', 'GET 204'],
      ...['PATCH 202', 'PATCH 202', 'PUT 201'],
    ])
    const ranges = proxy.seen.flatMap(({ headers }) => headers['content-range'] ?? [])
    expect(ranges).toEqual([
      ...[`0-${String(CHUNK - 1)}`, `${String(CHUNK)}-${String(2 * CHUNK - 1)}`],
      ...[`${String(CHUNK)}-${String(2 * CHUNK - 1)}`],
      `${String(2 * CHUNK)}-${String(large.length - 1)}`,
    ])
    expect(opened).toEqual([0, CHUNK])
    expect((await download(registry, repository, sha256(large))).equals(large)).toBe(true)
  })

  test.each([
    ['a small blob', small, 'PUT', { cutUpAfter: 100_000 }],
    ['a chunk', large, 'PATCH', { cutUpAfter: 100_000 }],
    ['the answer to a chunk', large, 'PATCH', { loseAnswer: true }],
  ] as const)(
    'begins anew where the registry has lost what it had: %s',
    async (_, content, method, fault) => {
      begin(once(method, 1, fault))
      expect(await registry.upload(repository, uploadOf(content))).toBe('sent')
      expect((await download(registry, repository, sha256(content))).equals(content)).toBe(true)
    },
  )

  test('does not send again when only the last answer was lost', async () => {
    begin(once('PUT', 1, { loseAnswer: true }))
    expect(await registry.upload(repository, uploadOf(small))).toBe('sent')
    expect(proxy.seen.filter(({ method }) => method === 'PUT').length).toBe(1)
  })

  test('mounts from another repository, and uses the upload that a registry begins instead', async () => {
    begin()
    await registry.upload('origin', uploadOf(small))
    proxy.seen.length = 0
    const mountFrom = ['nowhere', 'origin']
    expect(await registry.upload(repository, { ...uploadOf(small), mountFrom })).toBe('mounted')
    expect(methods()).toEqual(['HEAD 404', 'POST 202', 'DELETE 204', 'POST 201'])
    expect(proxy.seen.reduce((total, { upBytes }) => total + upBytes, 0)).toBe(0)
    expect(fixture.log()).toMatch(
      new RegExp(`"POST /v2/${repository}/blobs/uploads/\\?mount=\\S*from=origin HTTP/1.1" 201`),
    )
    proxy.seen.length = 0
    const other = { ...uploadOf(randomBytes(1000)), mountFrom: ['origin'] }
    expect(await registry.upload(repository, other)).toBe('sent')
    expect(methods()).toEqual(['HEAD 404', 'POST 202', 'PUT 201'])
  })

  test('waits as long as a limit of requests says', async () => {
    const waits: number[] = []
    begin(once('POST', 1, { status: 429, headers: { 'retry-after': '1' } }))
    registry.close()
    registry = openRegistry(proxy.host, { settings, onRetry: (_, pauseMs) => waits.push(pauseMs) })
    expect(await registry.upload(repository, uploadOf(small))).toBe('sent')
    expect(waits).toEqual([1000])
  })

  test('ends with an error when the blob is not as long as it was said to be', async () => {
    begin()
    const blob = uploadOf(small)
    const short = { ...blob, open: (from: number) => uploadOf(small.subarray(0, 1000)).open(from) }
    await expect(registry.upload(repository, short)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('it has 1000 of the 200000 bytes') as string,
    })
    const long = { ...blob, size: blob.size - 1 }
    await expect(registry.upload(repository, long)).rejects.toMatchObject({
      message: expect.stringContaining('it has more than the 199999 bytes') as string,
    })
  })
})

/**
 * Keeps what has arrived of a chunk that was cut, as OCI Distribution 1.1 has it: a chunk in the wrong place is answered
 * 416, and GET tells how far it is. docker-registry 2.8 forgets the whole upload.
 */
async function startKeepingRegistry(): Promise<{
  readonly host: string
  readonly content: () => Buffer
  readonly requests: string[]
  cutNextAfter: number | undefined
  close(): void
}> {
  let kept: Buffer = Buffer.alloc(0)
  const requests: string[] = []
  const location = '/v2/x/blobs/uploads/1?state=a'
  const server = http.createServer((request, response) => {
    const { method = '', url = '', headers } = request
    const range = headers['content-range'] ?? ''
    requests.push(`${method} ${range}`.trim())
    const answer = (status: number, more: Record<string, string> = {}): void => {
      response
        .writeHead(status, {
          location,
          range: `0-${String(Math.max(kept.length - 1, 0))}`,
          ...more,
        })
        .end()
    }
    const from = Number(range.split('-')[0])
    if (url === '/v2/') answer(200)
    else if (method === 'HEAD') answer(404)
    else if (method === 'POST') answer(202, { 'oci-chunk-min-length': String(20 * KIB) })
    else if (method === 'GET') answer(204)
    else if (method === 'PATCH' && from !== kept.length) answer(416)
    else {
      request.on('data', (chunk: Buffer) => {
        const limit = fixture.cutNextAfter ?? Infinity
        kept = Buffer.concat([kept, chunk.subarray(0, limit - kept.length)])
        if (kept.length < limit) return
        fixture.cutNextAfter = undefined
        request.socket.destroy()
      })
      request.on('end', () => {
        answer(method === 'PUT' ? 201 : 202)
      })
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const fixture = {
    host: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    content: () => kept,
    requests,
    cutNextAfter: undefined as number | undefined,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
  return fixture
}

test('upload() goes on where a chunk was cut, in chunks of at least the size that the registry wants', async () => {
  const content = randomBytes(45 * KIB)
  const fixture = await startKeepingRegistry()
  fixture.cutNextAfter = 25 * KIB
  const registry = openRegistry(fixture.host, { settings, chunkBytes: 10 * KIB })
  try {
    const opened: number[] = []
    expect(await registry.upload('x', uploadOf(content, opened))).toBe('sent')
    expect(fixture.content().equals(content)).toBe(true)
    expect(opened).toEqual([0, 25 * KIB])
    const part = (from: number, to: number): string =>
      `${String(from * KIB)}-${String(to * KIB - 1)}`
    expect(fixture.requests).toEqual([
      ...['HEAD', 'POST', `PATCH ${part(0, 20)}`, `PATCH ${part(20, 40)}`, 'GET'],
      ...[`PATCH ${part(25, 45)}`, 'PUT'],
    ])
  } finally {
    registry.close()
    fixture.close()
  }
})
