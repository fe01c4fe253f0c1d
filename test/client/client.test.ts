import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { encodeFrame, FrameDecoder, FrameType } from '../../src/api/frames.ts'
import { createClient } from '../../src/client/client.ts'
import { flatten } from '../../src/client/flatten.ts'
import { runtimePaths } from '../../src/client/runtime-paths.ts'
import { isListening } from '../../src/client/start-daemon.ts'
import { TsstackError } from '../../src/errors.ts'
import { API_VERSION, VERSION, VERSION_HEADER } from '../../src/version.ts'

// Framing and streaming only, on a real HTTP server on a real socket; behaviours are tested with the daemon itself.
type Handler = (request: IncomingMessage, response: ServerResponse) => void

let directory = ''
let socket = ''
let server: Server
let handler: Handler = () => undefined
let onUpgrade: (request: IncomingMessage, connection: Duplex) => void = () => undefined

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tsstack-client-'))
  socket = join(directory, 's')
  server = createServer((request, response) => {
    handler(request, response)
  })
  server.on('upgrade', (request: IncomingMessage, connection: Duplex) => {
    onUpgrade(request, connection)
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  rmSync(directory, { recursive: true, force: true })
})

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    if (!(error instanceof TsstackError)) return error
    const { code, message, hint } = error
    return { code, message, hint }
  }
  return 'no error'
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of stream) items.push(item)
  return items
}

describe('JSON', () => {
  test('sends bodies and queries, reads answers', async () => {
    const seen: unknown[] = []
    handler = (request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      request.on('end', () => {
        seen.push([request.method, request.url, body])
        response.end('{"id":"é"}')
      })
    }
    const client = createClient({ socket })
    await client.containers({ stack: 'a b', all: true })
    await client.containers({ all: false })
    expect(await client.run('x/y', { service: 'web' } as never)).toEqual({ id: 'é' })
    expect(seen).toEqual([
      ['GET', '/v1/containers?stack=a+b&all=true', ''],
      ['GET', '/v1/containers', ''],
      ['POST', '/v1/stacks/x%2Fy/run', '{"service":"web"}'],
    ])
  })

  test("throws the daemon's error", async () => {
    handler = (_, response) => {
      response
        .writeHead(404)
        .end(JSON.stringify({ code: 'NOT_FOUND', message: 'no such container', hint: 'look' }))
    }
    expect(await codeOf(createClient({ socket }).container('x'))).toEqual({
      code: 'NOT_FOUND',
      message: 'no such container',
      hint: 'look',
    })
  })

  test('throws INTERNAL for an answer that is no JSON, or no error of ours', async () => {
    handler = (request, response) => {
      response.writeHead(request.url === '/v1/version' ? 200 : 500).end('<html>')
    }
    const client = createClient({ socket })
    expect(await codeOf(client.version())).toMatchObject({
      code: 'INTERNAL',
      message: "Cannot read the daemon's answer: not JSON",
    })
    expect(await codeOf(client.doctor())).toMatchObject({
      code: 'INTERNAL',
      message: 'GET /v1/doctor: the daemon answered 500',
    })
  })

  test('throws UNAVAILABLE when nobody listens', async () => {
    const client = createClient({ socket: join(directory, 'none') })
    expect(await codeOf(client.version())).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('it is not running') as string,
    })
  })
})

describe('versions', () => {
  test('of another release are told once, of another API refused', async () => {
    let header = `9.9.9 ${API_VERSION}`
    handler = (_, response) => {
      response.setHeader(VERSION_HEADER, header).end('[]')
    }
    const told: string[] = []
    const client = createClient({ socket, onVersionMismatch: (version) => told.push(version) })
    await client.stacks()
    await client.stacks()
    expect(told).toEqual(['9.9.9'])
    header = `${VERSION} other`
    expect(await codeOf(client.stacks())).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('API other') as string,
    })
  })
})

describe('streams', () => {
  test('cut lines at newlines, wherever the chunks end', async () => {
    const lines = ['{"n":1}', '{"n":2,"s":"é\\n"}', '{"n":3}']
    const bytes = Buffer.from(`${lines.join('\n')}\n`)
    handler = (_, response) => {
      response.writeHead(200)
      let at = 0
      const next = (): void => {
        if (at >= bytes.length) response.end()
        else response.write(bytes.subarray(at, (at += 1)), next)
      }
      next()
    }
    expect(await collect(flatten(createClient({ socket }).logs('x', {})))).toEqual([
      { n: 1 },
      { n: 2, s: 'é\n' },
      { n: 3 },
    ])
  })

  test('give what came before an error, then throw it', async () => {
    handler = (_, response) => {
      response.end(
        '{"type":"plan","operations":1}\n{"type":"error","error":{"code":"UNAVAILABLE","message":"gone"}}\n',
      )
    }
    const seen: unknown[] = []
    const read = async (): Promise<void> => {
      for await (const event of flatten(createClient({ socket }).up('x', {} as never)))
        seen.push(event)
    }
    expect(await codeOf(read())).toEqual({ code: 'UNAVAILABLE', message: 'gone', hint: undefined })
    expect(seen).toEqual([{ type: 'plan', operations: 1 }])
  })

  test('are UNAVAILABLE when they are cut off', async () => {
    handler = (_, response) => {
      response.write('{"type":"plan","operations":1}\n{"type"', () => response.destroy())
    }
    expect(await codeOf(collect(createClient({ socket }).up('x', {} as never)))).toMatchObject({
      code: 'UNAVAILABLE',
    })
  })

  test('close the connection when the reader leaves, or the signal is raised', async () => {
    let closed = 0
    const { promise: twoClosed, resolve } = Promise.withResolvers<undefined>()
    handler = (_, response) => {
      response.write('{"n":1}\n')
      response.on('close', () => {
        closed += 1
        if (closed === 2) resolve(undefined)
      })
    }
    const client = createClient({ socket })
    for await (const batch of client.logs('x', { follow: true })) {
      expect(batch).toEqual([{ n: 1 }])
      break
    }
    const controller = new AbortController()
    const read = async (): Promise<void> => {
      for await (const batch of client.logs('x', { follow: true }, controller.signal)) {
        expect(batch).toEqual([{ n: 1 }])
        controller.abort()
      }
    }
    expect(await codeOf(read())).toMatchObject({ code: 'CANCELLED' })
    await twoClosed
  })
})

describe('sessions', () => {
  const switchProtocols =
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tsstack\r\n\r\n'

  test('carry both directions, and end with the exit code', async () => {
    const received: unknown[] = []
    onUpgrade = (request, connection) => {
      received.push(
        JSON.parse(Buffer.from(String(request.headers['x-tsstack-exec']), 'base64').toString()),
      )
      // The first frame comes with the answer itself.
      connection.write(
        Buffer.concat([
          Buffer.from(switchProtocols),
          encodeFrame(FrameType.Stdout, Buffer.from('early ')),
        ]),
      )
      const decoder = new FrameDecoder()
      connection.on('data', (chunk: Buffer) => {
        for (const frame of decoder.push(chunk)) {
          received.push([frame.type, frame.payload.toString()])
          if (frame.type !== FrameType.StdinClosed) continue
          connection.write(encodeFrame(FrameType.Stdout, Buffer.from('out')))
          connection.write(encodeFrame(FrameType.Stderr, Buffer.from('err')))
          connection.end(encodeFrame(FrameType.Exit, Buffer.from('{"exitCode":7}')))
        }
      })
    }
    const session = await createClient({ socket }).exec('id', {
      command: ['cat'],
      tty: false,
      stdin: true,
    })
    session.write(Buffer.from('in'))
    session.resize({ columns: 80, rows: 25 })
    session.closeStdin()
    const written = { out: '', err: '' }
    const end = await session.run({
      onStdout: (bytes) => (written.out += bytes.toString()),
      onStderr: (bytes) => (written.err += bytes.toString()),
    })
    expect(end).toEqual({ exitCode: 7 })
    expect(written).toEqual({ out: 'early out', err: 'err' })
    expect(received).toEqual([
      { command: ['cat'], tty: false, stdin: true },
      [FrameType.Stdin, 'in'],
      [FrameType.Resize, '{"columns":80,"rows":25}'],
      [FrameType.StdinClosed, ''],
    ])
  })

  test('throw an error frame, a refused upgrade, a lost connection', async () => {
    const client = createClient({ socket })
    const nothing = { onStdout: () => undefined, onStderr: () => undefined }
    onUpgrade = (_, connection) => {
      const error = encodeFrame(
        FrameType.Error,
        Buffer.from('{"code":"NOT_FOUND","message":"no such program"}'),
      )
      connection.end(Buffer.concat([Buffer.from(switchProtocols), error]))
    }
    expect(await codeOf((await client.attach('id')).run(nothing))).toMatchObject({
      code: 'NOT_FOUND',
      message: 'no such program',
    })
    onUpgrade = (_, connection) => {
      connection.end(
        'HTTP/1.1 409 Conflict\r\nContent-Length: 45\r\n\r\n{"code":"ALREADY_EXISTS","message":"stopped"}',
      )
    }
    expect(await codeOf(client.attach('id'))).toMatchObject({ code: 'ALREADY_EXISTS' })
    onUpgrade = (_, connection) => {
      connection.end(switchProtocols)
    }
    expect(await codeOf((await client.attach('id')).run(nothing))).toMatchObject({
      code: 'UNAVAILABLE',
    })
  })
})

test('isListening() tells a socket with a server from one without', async () => {
  expect(await isListening(socket)).toBe(true)
  expect(await isListening(join(directory, 'none'))).toBe(false)
})

describe('runtimePaths()', () => {
  test('has defaults, and takes them from the environment', () => {
    expect(runtimePaths({})).toEqual({
      runDir: '/run/tsstack',
      stateDir: '/var/lib/tsstack',
      socket: '/run/tsstack/tsstack.sock',
      logFile: '/var/lib/tsstack/daemon.log',
    })
    expect(runtimePaths({ TSSTACK_RUN_DIR: '/r', TSSTACK_STATE_DIR: '/s' })).toMatchObject({
      socket: '/r/tsstack.sock',
      logFile: '/s/daemon.log',
    })
    expect(runtimePaths({ TSSTACK_HOST: 'unix:///x/y.sock' }).socket).toBe('/x/y.sock')
  })

  test('refuses what is no unix socket', () => {
    expect(() => runtimePaths({ TSSTACK_HOST: 'tcp://x' })).toThrow('expected unix:///path')
    expect(() => runtimePaths({ TSSTACK_HOST: `unix:///${'x'.repeat(200)}` })).toThrow(
      'longer than 107 bytes',
    )
  })
})
