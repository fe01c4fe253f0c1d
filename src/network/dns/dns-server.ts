/**
 * The name server of the containers: names of their stack at once and with authority, the rest by the host's name
 * servers. One server for all networks; who asks is told from the source address.
 */
import { createSocket } from 'node:dgram'
import { createServer, type Socket } from 'node:net'
import { TsstackError } from '../../errors.ts'
import {
  addressBytes,
  contains,
  parseAddress,
  requireAddress,
  requireSubnet,
  type Subnet,
} from '../ip-address.ts'
import {
  addressOfReverseName,
  decodeQuery,
  encodeAnswer,
  encodeName,
  encodeRefusal,
  RecordType,
  ResponseCode,
  truncate,
  type AnswerRecord,
  type DnsQuery,
} from './dns-message.ts'
import { createForwarder, type Forwarder, type Upstream } from './upstream.ts'

const DEFAULT_PORT = 53
/** Short: containers come and go, and nothing is saved by asking less often over a bridge. */
const DEFAULT_TTL_SECONDS = 5
const MAX_TCP_BYTES = 65_535
const MAX_QUERY_BYTES = 4096
const MAX_TCP_CONNECTIONS = 256
const MAX_TCP_IN_FLIGHT = 32
const TCP_IDLE_MS = 10_000
const MAX_FORWARDED_PER_SOURCE = 256
const BUSY_PAUSES_MS = [2, 8, 32, 128]

/** Addresses of a name; both empty: the name exists and has none. */
export interface ResolvedName {
  readonly ipv4: readonly string[]
  readonly ipv6: readonly string[]
}

/** Where answers come from. All are called for each query and must be quick. */
export interface DnsSource {
  /** A name (lower case, no final dot) as the container at `sourceIp` sees it; undefined: not ours. */
  resolve(sourceIp: string, name: string): ResolvedName | undefined
  /** The name of an address. */
  reverse(sourceIp: string, ip: string): string | undefined
  /** Whom to ask for what is not ours; empty (internal networks): nobody, such names don't exist. */
  upstreams(sourceIp: string): readonly Upstream[]
  /** Seconds. Default: 5. */
  readonly ttl?: number
}

export interface ListenRequest {
  /** The gateway of a network. */
  readonly address: string
  /** Who may ask; others get no answer, so that nobody can be flooded with ours. */
  readonly subnets: readonly string[]
  /** Default: 53; 0: any free one. */
  readonly port?: number
  /**
   * Gives sockets that are bound to the address and port already; they are the server's then.
   * @throws {ALREADY_EXISTS} when another program has the port
   */
  readonly openSockets?: () => BoundSockets
}

/** Descriptors. */
export interface BoundSockets {
  readonly udp: number
  readonly tcp: number
}

export interface DnsServer {
  /**
   * Listens by UDP and TCP. An address that is listened to already is left as it is.
   * @returns the port
   * @throws {ALREADY_EXISTS} when another program has the port
   */
  listen(request: ListenRequest): Promise<number>
  /** Stops listening; no error where nothing listens. */
  unlisten(address: string): void
  close(): void
}

interface Listener {
  readonly port: number
  close(): void
}

/** Makes a server that listens to nothing yet. Its sockets don't keep the process alive. */
export function createDnsServer(source: DnsSource): DnsServer {
  const forwarder = createForwarder()
  const listeners = new Map<string, Listener>()
  const forward = createForwarding(source, forwarder)
  let rotation = 0

  const answer: AnswerFunction = (message, sourceIp, options) => {
    const decoded = decodeQuery(message)
    if (decoded.kind === 'ignore') return undefined
    if (decoded.kind === 'refuse') return encodeRefusal(decoded)
    const { query } = decoded
    const limit = options.transport === 'tcp' ? MAX_TCP_BYTES : query.udpBytes
    const records = ownRecords(source, { query, sourceIp, subnets: options.subnets })
    if (records === undefined) return forward({ message, query, sourceIp, limit })
    if (records === 'nonexistent') return codeOnly(query, ResponseCode.NXDOMAIN)
    rotation = (rotation + 1) & 0xffff
    return encodeAnswer(query, {
      code: ResponseCode.NOERROR,
      ttl: source.ttl ?? DEFAULT_TTL_SECONDS,
      records: rotate(records, rotation),
      limit,
    })
  }

  return {
    listen: async (request) => {
      const known = listeners.get(request.address)
      if (known !== undefined) return known.port
      const listener = await openPatiently(request, answer)
      listeners.set(request.address, listener)
      return listener.port
    },
    unlisten: (address) => {
      listeners.get(address)?.close()
      listeners.delete(address)
    },
    close: () => {
      for (const listener of listeners.values()) listener.close()
      listeners.clear()
      forwarder.close()
    },
  }
}

interface Request {
  readonly message: Buffer
  readonly query: DnsQuery
  readonly sourceIp: string
  /** Bytes. */
  readonly limit: number
}

/** Forwards for everybody, but for nobody so much that others would wait. */
function createForwarding(
  source: DnsSource,
  forwarder: Forwarder,
): (request: Request) => Promise<Buffer> {
  const perSource = new Map<string, number>()
  return async (request) => {
    const upstreams = source.upstreams(request.sourceIp)
    if (upstreams.length === 0) return codeOnly(request.query, ResponseCode.NXDOMAIN)
    const waiting = perSource.get(request.sourceIp) ?? 0
    if (waiting >= MAX_FORWARDED_PER_SOURCE) return codeOnly(request.query, ResponseCode.SERVFAIL)
    perSource.set(request.sourceIp, waiting + 1)
    try {
      const { message, query } = request
      const answer = await forwarder.ask(
        { message, question: query.question, whole: request.limit > query.udpBytes },
        upstreams,
      )
      if (answer === undefined) return codeOnly(query, ResponseCode.SERVFAIL)
      return answer.length > request.limit ? truncate(answer, query.question) : answer
    } finally {
      const left = (perSource.get(request.sourceIp) ?? 1) - 1
      if (left === 0) perSource.delete(request.sourceIp)
      else perSource.set(request.sourceIp, left)
    }
  }
}

interface AnswerOptions {
  readonly transport: 'udp' | 'tcp'
  readonly subnets: readonly Subnet[]
}

/** Answers from our own knowledge at once, without a promise; forwarded ones later. */
type AnswerFunction = (
  message: Buffer,
  sourceIp: string,
  options: AnswerOptions,
) => Buffer | Promise<Buffer> | undefined

function codeOnly(query: DnsQuery, code: number): Buffer {
  return encodeAnswer(query, { code, ttl: 0, records: [], limit: MAX_TCP_BYTES })
}

function rotate<T>(items: readonly T[], by: number): readonly T[] {
  if (items.length < 2) return items
  const start = by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}

interface OwnQuery {
  readonly query: DnsQuery
  readonly sourceIp: string
  readonly subnets: readonly Subnet[]
}

/** Undefined: not ours. */
function ownRecords(
  source: DnsSource,
  { query, sourceIp, subnets }: OwnQuery,
): AnswerRecord[] | 'nonexistent' | undefined {
  if (query.name.endsWith('.arpa')) {
    const ip = addressOfReverseName(query.name)
    return ip === undefined ? undefined : reverseRecords(source, { query, sourceIp, subnets }, ip)
  }
  const found = source.resolve(sourceIp, query.name)
  if (found === undefined) return undefined
  const wants = (type: number): boolean => query.type === type || query.type === RecordType.ANY
  const records = (type: number, addresses: readonly string[]): AnswerRecord[] => {
    return wants(type)
      ? addresses.map((text) => ({ type, data: addressBytes(requireAddress(text)) }))
      : []
  }
  return [...records(RecordType.A, found.ipv4), ...records(RecordType.AAAA, found.ipv6)]
}

function reverseRecords(
  source: DnsSource,
  { query, sourceIp, subnets }: OwnQuery,
  ip: string,
): AnswerRecord[] | 'nonexistent' | undefined {
  const address = parseAddress(ip)
  if (address === undefined) return undefined
  const data = encodeName(source.reverse(sourceIp, ip) ?? '')
  // Addresses of the network itself are nobody else's to know.
  if (data === undefined)
    return subnets.some((subnet) => contains(subnet, address)) ? 'nonexistent' : undefined
  const wants = query.type === RecordType.PTR || query.type === RecordType.ANY
  return wants ? [{ type: RecordType.PTR, data }] : []
}

/**
 * A moment after its listener was closed an address can still be in use: a program that is being started has copies of
 * all our descriptors until it is executed.
 */
async function openPatiently(request: ListenRequest, answer: AnswerFunction): Promise<Listener> {
  for (const pauseMs of BUSY_PAUSES_MS) {
    try {
      return await openListener(request, answer)
    } catch (error) {
      if (!(error instanceof TsstackError) || error.code !== 'ALREADY_EXISTS') throw error
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  return openListener(request, answer)
}

async function openListener(request: ListenRequest, answer: AnswerFunction): Promise<Listener> {
  const subnets = request.subnets.map(requireSubnet)
  const allows = (ip: string): boolean => {
    const address = parseAddress(ip)
    return address !== undefined && subnets.some((subnet) => contains(subnet, address))
  }
  const rules = { allows, subnets, answer }
  const bound = request.openSockets?.()
  const udp = await openUdp(request, rules, bound?.udp)
  try {
    const tcp = await openTcp({ ...request, port: udp.port }, rules, bound?.tcp)
    return {
      port: udp.port,
      close: () => {
        udp.close()
        tcp.close()
      },
    }
  } catch (error) {
    udp.close()
    throw error
  }
}

interface Rules {
  readonly allows: (ip: string) => boolean
  readonly subnets: readonly Subnet[]
  readonly answer: AnswerFunction
}

function refusal(request: ListenRequest, error: unknown): TsstackError {
  const code = (error as NodeJS.ErrnoException).code ?? String(error)
  const state = code === 'EADDRINUSE' ? 'another program has the port' : code
  const port = request.port ?? DEFAULT_PORT
  const kind = code === 'EADDRINUSE' ? 'ALREADY_EXISTS' : 'FAILED_PRECONDITION'
  return new TsstackError(kind, `Cannot serve names on ${request.address} port ${port}: ${state}`, {
    cause: error,
  })
}

async function openUdp(
  request: ListenRequest,
  rules: Rules,
  fd: number | undefined,
): Promise<Listener> {
  const is6 = request.address.includes(':')
  const socket = createSocket({
    type: is6 ? 'udp6' : 'udp4',
    // Only addresses are ever looked up, and at once.
    lookup: (host, _options, done) => {
      done(null, host, is6 ? 6 : 4)
    },
  })
  socket.unref()
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => {
      reject(refusal(request, error))
    })
    const { address, port = DEFAULT_PORT } = request
    socket.bind(fd === undefined ? { address, port, exclusive: true } : { fd }, resolve)
  })
  socket.removeAllListeners('error')
  socket.on('error', () => undefined) // a datagram that can't be delivered is its asker's loss
  let open = true
  const options = { transport: 'udp', subnets: rules.subnets } as const
  socket.on('message', (message, from) => {
    if (!rules.allows(from.address)) return
    const reply = rules.answer(message, from.address, options)
    if (reply === undefined) return
    const send = (bytes: Buffer): void => {
      if (open) socket.send(bytes, from.port, from.address, () => undefined)
    }
    if (reply instanceof Promise) void reply.then(send)
    else send(reply)
  })
  return {
    port: socket.address().port,
    close: () => {
      if (open) socket.close()
      open = false
    },
  }
}

async function openTcp(
  request: ListenRequest,
  rules: Rules,
  fd: number | undefined,
): Promise<Listener> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const sourceIp = socket.remoteAddress ?? ''
    if (!rules.allows(sourceIp)) {
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    serveTcp(socket, (message) =>
      rules.answer(message, sourceIp, { transport: 'tcp', subnets: rules.subnets }),
    )
  })
  server.maxConnections = MAX_TCP_CONNECTIONS
  server.unref()
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(refusal(request, error))
    })
    const { address: host, port = DEFAULT_PORT } = request
    server.listen(fd === undefined ? { host, port, exclusive: true } : { fd }, resolve)
  })
  server.removeAllListeners('error')
  server.on('error', () => undefined)
  const close = (): void => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { port: request.port ?? DEFAULT_PORT, close }
}

/** Length-prefixed messages (RFC 7766), answered in any order; whoever sends too much or too fast is cut off. */
function serveTcp(
  socket: Socket,
  answer: (message: Buffer) => Buffer | Promise<Buffer> | undefined,
): void {
  let received: Buffer = Buffer.alloc(0)
  let inFlight = 0
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy())
  socket.unref()
  socket.on('error', () => undefined)
  const reply = (bytes: Buffer): void => {
    if (socket.destroyed) return
    const length = Buffer.alloc(2)
    length.writeUInt16BE(bytes.length)
    socket.write(Buffer.concat([length, bytes]))
  }
  const take = (message: Buffer): void => {
    const result = answer(message)
    if (
      result === undefined ||
      inFlight >= MAX_TCP_IN_FLIGHT ||
      socket.writableLength > MAX_TCP_BYTES
    )
      socket.destroy()
    else if (result instanceof Promise) {
      inFlight += 1
      void result.then((bytes) => {
        inFlight -= 1
        reply(bytes)
      })
    } else reply(result)
  }
  socket.on('data', (part) => {
    received = Buffer.concat([received, part])
    while (received.length >= 2 && !socket.destroyed) {
      const length = received.readUInt16BE(0)
      if (length > MAX_QUERY_BYTES) {
        socket.destroy()
        return
      }
      if (received.length < 2 + length) return
      const message = Buffer.from(received.subarray(2, 2 + length))
      received = received.subarray(2 + length)
      take(message)
    }
  })
}
