/**
 * Between us and a real registry: passes everything on, counts bytes, and does to single requests what networks and busy
 * registries do. The registry believes that it is the proxy's host, so what it names comes back through here.
 */
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { once } from 'node:events'

export type Fault =
  /** Answers instead of the registry. */
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Closes the connection after so many bytes of the request's body. */
  | { readonly cutUpAfter: number }
  /** Closes the connection after so many bytes of the answer's body. */
  | { readonly cutDownAfter: number }
  /** The registry gets all of the request, and its answer is lost. */
  | { readonly loseAnswer: true }
  /** Nothing more comes after so many bytes of the answer's body. */
  | { readonly stallAfter: number }

export interface SeenRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  /** Of the body, as far as it was passed on. */
  upBytes: number
  downBytes: number
  status: number | undefined
}

export interface FaultProxy {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  /** In the order of their arrival. */
  readonly seen: SeenRequest[]
  /** Asked once for each request. */
  fault: (request: SeenRequest) => Fault | undefined
  close(): Promise<void>
}

function passUp(
  request: http.IncomingMessage,
  upstream: http.ClientRequest,
  { seen, limit }: { readonly seen: SeenRequest; readonly limit: number },
): void {
  request.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, limit - seen.upBytes)
    seen.upBytes += part.length
    if (!upstream.write(part)) {
      request.pause()
      upstream.once('drain', () => request.resume())
    }
    if (seen.upBytes === limit) {
      request.socket.destroy()
      upstream.destroy()
    }
  })
  request.on('end', () => upstream.end())
}

function passDown(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  { seen, fault }: { readonly seen: SeenRequest; readonly fault: Fault | undefined },
): void {
  const { cutDownAfter = Infinity, stallAfter = Infinity } = { ...fault } as {
    cutDownAfter?: number
    stallAfter?: number
  }
  const limit = Math.min(cutDownAfter, stallAfter)
  response.writeHead(answer.statusCode ?? 502, answer.headers)
  answer.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, limit - seen.downBytes)
    seen.downBytes += part.length
    const isFree = response.write(part, () => {
      if (seen.downBytes === cutDownAfter) response.destroy()
    })
    if (!isFree) {
      answer.pause()
      response.once('drain', () => answer.resume())
    }
  })
  answer.on('end', () => {
    if (limit === Infinity) response.end()
  })
}

/** @param upstream - `127.0.0.1:PORT` of the registry */
export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const sockets = new Set<Socket>()
  const proxy = {
    host: '',
    seen: [] as SeenRequest[],
    fault: (): Fault | undefined => undefined,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  const server = http.createServer((request, response) => {
    const { method = '', url = '', headers } = request
    const path = url.replace(/\?.*$/, '')
    const seen: SeenRequest = { method, path, headers, upBytes: 0, downBytes: 0, status: undefined }
    proxy.seen.push(seen)
    const fault = (proxy as FaultProxy).fault(seen)
    if (fault !== undefined && 'status' in fault) {
      request.resume()
      seen.status = fault.status
      response.writeHead(fault.status, { 'content-length': 2, ...fault.headers }).end('{}')
      return
    }
    const [hostname, port] = upstream.split(':')
    const onward = http.request({ hostname, port, method, path: url, headers })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    onward.on('response', (answer) => {
      seen.status = answer.statusCode
      if (fault !== undefined && 'loseAnswer' in fault) response.destroy()
      else passDown(answer, response, { seen, fault })
    })
    const limit = fault !== undefined && 'cutUpAfter' in fault ? fault.cutUpAfter : Infinity
    passUp(request, onward, { seen, limit })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  proxy.host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`
  return proxy
}
