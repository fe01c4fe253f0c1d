/** The moment at which a new replica takes the place of an old one: its ports, its names, at once. */
import { emitContainerEvent } from '../container-event.ts'
import type { Context } from '../context.ts'
import { requireContainer } from '../find-container.ts'

export interface HandOver {
  /** Serves now. */
  readonly from: string
  /** Is going to serve. */
  readonly to: string
  /** What the name of the one that served ends in from now on. */
  readonly suffix: 'old' | 'failed'
}

/**
 * From here on new connections come to `to`: by published ports (one transaction of the firewall) and by names (the next
 * answer of the name server). Connections that are open stay where they are. The records change in one transaction, so
 * that at any instant exactly one of the two serves, whatever becomes of the daemon.
 * @throws {ALREADY_EXISTS} for a published port that the old one does not have and somebody else does; nothing has changed
 */
export function handOver(context: Context, { from, to, suffix }: HandOver): void {
  const before = requireContainer(context, from)
  const after = requireContainer(context, to)
  const { name } = before.config
  const publishedPorts = context.live.has(to) ? context.networks.handOver(from, after) : []
  const { part, ...serving } = after
  context.state.atomically(() => {
    context.containers.put(from, {
      ...before,
      part: 'retired',
      config: { ...before.config, name: `${name}-${suffix}` },
      publishedPorts: [],
    })
    context.containers.put(to, {
      ...serving,
      config: { ...after.config, name },
      publishedPorts,
    })
  })
  // The name server makes its directory anew.
  emitContainerEvent(context, requireContainer(context, to), 'rename', {
    oldName: after.config.name,
  })
}
