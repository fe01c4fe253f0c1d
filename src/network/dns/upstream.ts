/**
 * Asking other name servers: over a few sockets for each, many questions at a time, so that a slow one holds up nobody
 * but who asked it. Sockets are opened when first needed and never keep the process alive.
 */
import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { createConnection } from 'node:net'
import { answers, isTruncated, responseCode, ResponseCode } from './dns-message.ts'

const SOCKETS_EACH = 4
const MAX_PENDING = 4096
/** The second round is for a lost datagram. */
const ROUND_TIMEOUTS_MS = [1000, 2000]
const TCP_TIMEOUT_MS = 3000
const MAX_MESSAGE_BYTES = 65_535
const TRY_NEXT: readonly number[] = [
  ResponseCode.SERVFAIL,
  ResponseCode.NOTIMP,
  ResponseCode.REFUSED,
]

/** A name server. */
export interface Upstream {
  readonly address: string
  readonly port: number
}

export interface Question {
  /** The whole query as it came. */
  readonly message: Buffer
  /** Its header and question. */
  readonly question: Buffer
  /** Ask again by TCP when the answer is truncated. */
  readonly whole: boolean
}

export interface Forwarder {
  /** The first useful answer, with the query's id; undefined when no server gave one, or too many wait already. */
  ask(question: Question, upstreams: readonly Upstream[]): Promise<Buffer | undefined>
  close(): void
}

/** Makes a forwarder; at most 4096 questions wait at a time. */
export function createForwarder(): Forwarder {
  const pools = new Map<string, UdpPool>()
  let pending = 0
  const poolOf = (upstream: Upstream): UdpPool => {
    const key = `${upstream.address} ${upstream.port}`
    const pool = pools.get(key) ?? createUdpPool(upstream)
    pools.set(key, pool)
    return pool
  }
  return {
    ask: async (question, upstreams) => {
      if (pending >= MAX_PENDING) return undefined
      pending += 1
      try {
        return await askAll(question, upstreams, poolOf)
      } finally {
        pending -= 1
      }
    },
    close: () => {
      for (const pool of pools.values()) pool.close()
      pools.clear()
    },
  }
}

async function askAll(
  question: Question,
  upstreams: readonly Upstream[],
  poolOf: (upstream: Upstream) => UdpPool,
): Promise<Buffer | undefined> {
  let second: Buffer | undefined
  for (const timeoutMs of ROUND_TIMEOUTS_MS) {
    for (const upstream of upstreams) {
      const answer = await askOne(question, upstream, { timeoutMs, pool: poolOf(upstream) })
      if (answer === undefined) continue
      if (!TRY_NEXT.includes(responseCode(answer))) return answer
      second ??= answer
    }
    if (second !== undefined) return second
  }
  return undefined
}

async function askOne(
  question: Question,
  upstream: Upstream,
  options: { readonly timeoutMs: number; readonly pool: UdpPool },
): Promise<Buffer | undefined> {
  const answer = await options.pool.ask(question, options.timeoutMs)
  if (answer === undefined || !question.whole || !isTruncated(answer)) return answer
  return (await askByTcp(question, upstream)) ?? answer
}

interface UdpPool {
  ask(question: Question, timeoutMs: number): Promise<Buffer | undefined>
  close(): void
}

interface PendingQuestion {
  readonly question: Question
  readonly settle: (answer: Buffer | undefined) => void
}

/** Sockets connected to one server: the kernel drops what comes from elsewhere, and tells when nobody is there. */
function createUdpPool(upstream: Upstream): UdpPool {
  const channels: (UdpPool | undefined)[] = new Array<undefined>(SOCKETS_EACH).fill(undefined)
  return {
    ask: async (question, timeoutMs) => {
      const index = randomInt(SOCKETS_EACH)
      const channel = (channels[index] ??= createChannel(upstream, () => {
        channels[index] = undefined
      }))
      return await channel.ask(question, timeoutMs)
    },
    close: () => {
      for (const channel of channels.splice(0)) channel?.close()
    },
  }
}

function createChannel(upstream: Upstream, onClosed: () => void): UdpPool {
  const pending = new Map<number, PendingQuestion>()
  const socket = createSocket(upstream.address.includes(':') ? 'udp6' : 'udp4')
  socket.unref()
  const fail = (): void => {
    onClosed()
    for (const { settle } of pending.values()) settle(undefined)
    socket.close()
    socket.removeListener('error', fail)
    socket.on('error', () => undefined)
  }
  const connected = connect(socket, upstream)
  socket.on('error', fail)
  socket.on('message', (message) => {
    if (message.length < 12) return
    const waiting = pending.get(message.readUInt16BE(0))
    if (waiting === undefined || !answers(message, waiting.question.question)) return
    message.writeUInt16BE(waiting.question.message.readUInt16BE(0), 0)
    waiting.settle(message)
  })
  return {
    ask: async (question, timeoutMs) => {
      await connected
      return await send({ socket, pending }, question, timeoutMs)
    },
    close: () => {
      socket.removeListener('error', fail)
      fail()
    },
  }
}

async function connect(socket: Socket, upstream: Upstream): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.connect(upstream.port, upstream.address, () => {
      resolve()
    })
    socket.once('error', () => {
      resolve()
    })
  })
}

interface Channel {
  readonly socket: Socket
  readonly pending: Map<number, PendingQuestion>
}

async function send(
  channel: Channel,
  question: Question,
  timeoutMs: number,
): Promise<Buffer | undefined> {
  // An id that nobody can guess, and that no other question on this socket has.
  let id = randomInt(65_536)
  while (channel.pending.has(id)) id = (id + 1) & 0xffff
  return await new Promise((resolve) => {
    const timer = setTimeout(() => {
      settle(undefined)
    }, timeoutMs)
    timer.unref()
    const settle = (answer: Buffer | undefined): void => {
      clearTimeout(timer)
      channel.pending.delete(id)
      resolve(answer)
    }
    channel.pending.set(id, { question, settle })
    const copy = Buffer.from(question.message)
    copy.writeUInt16BE(id, 0)
    try {
      channel.socket.send(copy, (error) => {
        if (error !== null) settle(undefined)
      })
    } catch {
      settle(undefined) // the connection failed: no route
    }
  })
}

/** RFC 7766: a length of two bytes, then the message. */
async function askByTcp(question: Question, upstream: Upstream): Promise<Buffer | undefined> {
  return await new Promise((resolve) => {
    const socket = createConnection({
      host: upstream.address,
      port: upstream.port,
      timeout: TCP_TIMEOUT_MS,
    })
    const deadline = setTimeout(() => {
      finish(undefined)
    }, TCP_TIMEOUT_MS)
    let received = Buffer.alloc(0)
    const finish = (answer: Buffer | undefined): void => {
      clearTimeout(deadline)
      socket.destroy()
      resolve(answer)
    }
    socket.on('error', () => {
      finish(undefined)
    })
    socket.on('close', () => {
      finish(undefined)
    })
    socket.on('data', (part) => {
      received = Buffer.concat([received, part])
      if (received.length > MAX_MESSAGE_BYTES + 2) {
        finish(undefined)
        return
      }
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
      const answer = received.subarray(2, 2 + received.readUInt16BE(0))
      finish(answer.length >= 12 && answers(answer, question.question) ? answer : undefined)
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(question.message.length)
    socket.end(Buffer.concat([length, question.message]))
  })
}
