import { runProbe } from '../engine/health-probe.ts'
import { openContainerExec } from './container-exec.ts'
import { emitContainerEvent } from './container-event.ts'
import type { Context, LiveContainer } from './context.ts'
import { startHealthMonitor, type HealthMonitor } from './health-monitor.ts'
import { requireContainer } from './find-container.ts'

const LOOPBACK = '127.0.0.1'

/** Watches the health of a container that has just been started or adopted. */
export function monitorHealth(
  context: Context,
  id: string,
  running: Pick<LiveContainer, 'process' | 'cgroup'> & { readonly isNew: boolean },
): HealthMonitor | undefined {
  const check = requireContainer(context, id).config.health
  if (check === undefined) return undefined
  return startHealthMonitor({
    check,
    isNew: running.isNew,
    probe: (current) =>
      runProbe(current, {
        pid: running.process.pid,
        address: context.networks.addressOf(id) ?? LOOPBACK,
        exec: (command) => openContainerExec(context, id, { command, running }),
      }),
    onChange: (state) => {
      emitContainerEvent(context, requireContainer(context, id), `health_status: ${state}`)
    },
  })
}
