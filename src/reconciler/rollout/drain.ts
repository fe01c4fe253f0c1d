/** Letting the connections of a container that does not serve any more come to their end. */
import { tcpSocketsOf } from '../../network/tcp-sockets.ts'
import type { Context } from '../context.ts'
import { areConnectionsUnheard, forgetConnections } from './tracked-connections.ts'

const LOOK_MS = 50
/** Somebody may have asked for the name just before it led elsewhere, and connects only now. */
const QUIET_MS = 500

export interface DrainOptions {
  readonly longestMs: number
  /** Whether somebody still serves in its place: without anybody what is new comes to it again. Default: yes. */
  readonly isReplaced?: () => boolean
  /** Raised when nothing is to be waited for any more. */
  readonly hurry?: AbortSignal | undefined
}

/**
 * For a container to which nothing new leads any more. Resolves when it has had no incoming TCP connection for a moment
 * and none is left of which it has yet to hear, when it has ended, or when the time is over. Connections that it has not
 * answered are led elsewhere. One on the network of the host has connections that can't be told from the host's own: those
 * are not waited for.
 */
export async function drain(context: Context, id: string, options: DrainOptions): Promise<void> {
  if (context.containers.get(id)?.config.networkMode.kind !== 'endpoints') return
  forgetConnections(context, id, 'unanswered')
  await untilQuiet(context, id, options)
  forgetConnections(context, id, 'unanswered') // what came between the rules and the first time
}

async function untilQuiet(
  context: Context,
  id: string,
  { longestMs, isReplaced = () => true, hurry }: DrainOptions,
): Promise<void> {
  const startedAt = performance.now()
  let busyAt = startedAt
  for (;;) {
    const pid = context.live.get(id)?.process.pid
    if (pid === undefined) return
    const { incoming, listening } = tcpSocketsOf(pid)
    if (listening.size === 0) return
    const now = performance.now()
    if (incoming > 0) busyAt = now
    if (now - startedAt >= longestMs || !isReplaced() || hurry?.aborted === true) return
    if (now - busyAt >= QUIET_MS) {
      if (!(await areConnectionsUnheard(context, id))) return
      busyAt = now
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}
