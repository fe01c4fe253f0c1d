/** Streams of JSON lines with back-pressure: a client that reads slowly slows its producer, one that leaves ends it. */
import type { FastifyReply } from 'fastify'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { toTsstackError } from '../errors.ts'

export interface LineSink {
  /** Resolves when there is room for more. */
  readonly write: (items: readonly unknown[]) => Promise<void>
  /** Raised when the client has gone. */
  readonly signal: AbortSignal
}

/**
 * Answers with what `produce` writes. A failure becomes the last line: the status was sent long before.
 */
export async function streamLines(
  reply: FastifyReply,
  produce: (sink: LineSink) => Promise<void>,
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
  const write = async (items: readonly unknown[]): Promise<void> => {
    if (items.length === 0 || gone.signal.aborted) return
    const text = items.map((item) => `${JSON.stringify(item)}\n`).join('')
    if (!stream.write(text))
      await Promise.race([once(stream, 'drain'), once(gone.signal, 'abort')]).catch(() => undefined)
  }
  try {
    await produce({ write, signal: gone.signal })
  } catch (error) {
    if (!gone.signal.aborted)
      await write([{ type: 'error', error: toTsstackError(error).toBody() }])
  }
  stream.end()
}

function headersOf(reply: FastifyReply): Record<string, string> {
  return Object.fromEntries(
    Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]),
  )
}
