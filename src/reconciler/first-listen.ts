/** When a container that has no health check can take connections. */
import { tcpSocketsOf } from '../network/tcp-sockets.ts'
import type { Context, LiveContainer } from './context.ts'

/** Without a check, how long a program may take until it listens; then it counts as one that never will. */
const LISTEN_WAIT_MS = 10_000
const LISTEN_PAUSE_MS = 20

/**
 * A replica that has a published port together with others is led to when it listens: until then they serve.
 * @param live - it has just been started
 */
export async function warmUp(context: Context, live: LiveContainer): Promise<void> {
  if (!context.networks.sharesPorts(live.id)) return
  live.isWarmingUp = true
  await listensWhereItHasNoCheck(context, live.id)
  live.isWarmingUp = false
  context.networks.readinessChanged(live.id)
}

/** A program takes a moment from its start to its first `accept`. What publishes a port is going to listen on it. */
export async function listensWhereItHasNoCheck(context: Context, id: string): Promise<void> {
  const record = context.containers.get(id)
  if (record === undefined || record.config.health !== undefined) return
  if (record.config.networkMode.kind !== 'endpoints') return
  const wanted = record.config.ports.filter(({ protocol }) => protocol === 'tcp')
  const deadline = performance.now() + LISTEN_WAIT_MS
  while (performance.now() < deadline) {
    const pid = context.live.get(id)?.process.pid
    if (pid === undefined) return
    const { listening } = tcpSocketsOf(pid)
    if (wanted.every(({ target }) => listening.has(target))) return
    await new Promise((resolve) => setTimeout(resolve, LISTEN_PAUSE_MS))
  }
}
