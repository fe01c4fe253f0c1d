/** Just enough of a DNS client for tests. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createConnection } from 'node:net'

let lastId = 1000

/** A query of class IN with recursion desired. */
export function query(name: string, type: number, options: { edns?: number } = {}): Buffer {
  const labels = name === '' ? [] : name.split('.')
  lastId += 1
  return Buffer.concat([
    Uint8Array.of(
      lastId >> 8,
      lastId & 255,
      1,
      0,
      0,
      1,
      0,
      0,
      0,
      0,
      0,
      options.edns === undefined ? 0 : 1,
    ),
    ...labels.flatMap((label) => [Uint8Array.of(label.length), Buffer.from(label)]),
    Uint8Array.of(0, type >> 8, type & 255, 0, 1),
    ...(options.edns === undefined
      ? []
      : [Uint8Array.of(0, 0, 41, options.edns >> 8, options.edns & 255, 0, 0, 0, 0, 0, 0)]),
  ])
}

export interface Answer {
  code: number
  authoritative: boolean
  truncated: boolean
  /** Addresses in text, other data in hexadecimal. */
  records: string[]
  message: Buffer
}

/** Reads an answer whose records all carry a pointer as their name. */
export function readAnswer(message: Buffer): Answer {
  let at = 12
  if (message.readUInt16BE(4) === 0) {
    return {
      code: message.readUInt16BE(2) & 15,
      authoritative: false,
      truncated: false,
      records: [],
      message,
    }
  }
  while (message[at] !== 0) at += (message[at] ?? 0) + 1
  at += 5
  const records: string[] = []
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    const type = message.readUInt16BE(at + 2)
    const length = message.readUInt16BE(at + 10)
    const data = message.subarray(at + 12, at + 12 + length)
    records.push(type === 1 ? data.join('.') : data.toString(type === 12 ? 'latin1' : 'hex'))
    at += 12 + length
  }
  const flags = message.readUInt16BE(2)
  return {
    code: flags & 15,
    authoritative: (flags & 0x400) !== 0,
    truncated: (flags & 0x200) !== 0,
    records,
    message,
  }
}

/** Asks by UDP from an address of our choice; rejects after `timeoutMs` (default 3000). */
export async function askUdp(
  server: { address: string; port: number },
  message: Buffer,
  options: { from?: string; timeoutMs?: number } = {},
): Promise<Answer> {
  const socket = createSocket('udp4')
  try {
    await new Promise<void>((resolve) => {
      socket.bind(0, options.from ?? '127.0.0.1', resolve)
    })
    socket.send(message, server.port, server.address)
    const [reply] = (await once(socket, 'message', {
      signal: AbortSignal.timeout(options.timeoutMs ?? 3000),
    })) as [Buffer]
    return readAnswer(reply)
  } finally {
    socket.close()
  }
}

/** Asks by TCP: all messages in one go, answers in the order in which they came. */
export async function askTcp(
  server: { address: string; port: number },
  messages: Buffer[],
): Promise<Answer[]> {
  const socket = createConnection({ host: server.address, port: server.port, timeout: 3000 })
  socket.on('timeout', () => socket.destroy(new Error('timeout')))
  for (const message of messages)
    socket.write(Buffer.concat([Uint8Array.of(message.length >> 8, message.length & 255), message]))
  let received = Buffer.alloc(0)
  const found: Answer[] = []
  for await (const part of socket as AsyncIterable<Buffer>) {
    received = Buffer.concat([received, part])
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      found.push(readAnswer(received.subarray(2, 2 + received.readUInt16BE(0))))
      received = received.subarray(2 + received.readUInt16BE(0))
    }
    if (found.length === messages.length) break
  }
  socket.destroy()
  return found
}
