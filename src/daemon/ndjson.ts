/** Streams of JSON lines with back-pressure: a client that reads slowly slows its producer, one that leaves ends it. */
import type { FastifyReply } from 'fastify'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { toTsstackError } from '../errors.ts'

export interface LineSink {
  /** Resolves when there is room for more. */
  readonly write: (items: readonly unknown[]) => Promise<void>
  /** Writes whether there is room or not. @returns whether there is room for more */
  readonly send: (items: readonly unknown[]) => boolean
  /** Raised when the client has gone, or the daemon leaves. */
  readonly signal: AbortSignal
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Raised when the daemon is about to leave, or to be renewed. */
    leaving: AbortSignal
  }
}

export interface StreamOptions {
  /** It has no end of its own: the client goes on with the next daemon when this one leaves. */
  readonly follows?: boolean
}

/** For the rest of what a client has not read when the daemon leaves. */
const LAST_READ_MS = 1000

/**
 * Answers with what `produce` writes. A failure becomes the last line: the status was sent long before.
 */
export async function streamLines(
  reply: FastifyReply,
  produce: (sink: LineSink) => Promise<void>,
  { follows = false }: StreamOptions = {},
): Promise<void> {
  reply.hijack()
  const stream: Writable = reply.raw
  const gone = new AbortController()
  reply.raw.on('close', () => {
    gone.abort()
  })
  reply.raw.on('error', () => {
    gone.abort()
  })
  reply.raw.writeHead(200, { ...headersOf(reply), 'content-type': 'application/x-ndjson' })
  reply.raw.flushHeaders()
  const { leaving } = reply.server
  const signal = follows ? AbortSignal.any([gone.signal, leaving]) : gone.signal
  const send = (items: readonly unknown[]): boolean => {
    if (items.length === 0 || signal.aborted) return true
    return stream.write(items.map((item) => `${JSON.stringify(item)}\n`).join(''))
  }
  const write = async (items: readonly unknown[]): Promise<void> => {
    if (!send(items))
      await Promise.race([once(stream, 'drain'), once(signal, 'abort')]).catch(() => undefined)
  }
  try {
    await produce({ write, send, signal })
  } catch (error) {
    if (!gone.signal.aborted) send([{ type: 'error', error: toTsstackError(error).toBody() }])
  }
  stream.end()
  if (leaving.aborted) setTimeout(() => stream.destroy(), LAST_READ_MS).unref()
}

function headersOf(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(
    Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]),
  )
}
