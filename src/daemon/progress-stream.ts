/**
 * What work tells of itself, as lines. The work does not wait for whoever reads: progress that a slow client has no room
 * for is left out, so that a step of a build that prints without an end can't fill the daemon's memory.
 */
import type { FastifyReply } from 'fastify'
import type { ProgressEvent } from '../api/types.ts'
import { streamLines } from './ndjson.ts'

/** Beyond this, in bytes, progress is left out; what begins, ends or fails is always told. */
const MAX_UNREAD_BYTES = 1024 * 1024

/** @param signal - raised when the client has gone */
export type ToldWork = (tell: (event: ProgressEvent) => void, signal: AbortSignal) => Promise<void>

/** Answers with the events of `work`. A failure becomes the last one. */
export async function streamProgress(reply: FastifyReply, work: ToldWork): Promise<void> {
  await streamLines(reply, async ({ send, signal }) => {
    let leftOut = 0
    const hasRoom = (): boolean => reply.raw.writableLength < MAX_UNREAD_BYTES
    const tellOfGap = (): void => {
      if (leftOut === 0) return
      const message = `${String(leftOut)} lines of progress were left out: they were read too slowly`
      leftOut = 0
      send([{ type: 'warning', message } satisfies ProgressEvent])
    }
    try {
      await work((event) => {
        if (event.type === 'operation' && event.status === 'progress' && !hasRoom()) {
          leftOut++
          return
        }
        if (hasRoom()) tellOfGap()
        send([event])
      }, signal)
    } finally {
      tellOfGap()
    }
  })
}
