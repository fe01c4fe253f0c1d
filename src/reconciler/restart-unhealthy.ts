/** `x-tsstack.restart_on: unhealthy`: what hangs without ending is stopped, and started again as if it had ended. */
import { log } from '../log.ts'
import { scheduleRestart } from './container-exit.ts'
import type { Context } from './context.ts'
import { launchContainer } from './launch-container.ts'
import { endProcess } from './stop-container.ts'

/** Call once, before containers are started or adopted. */
export function restartUnhealthyContainers(context: Context): void {
  context.events.subscribe(({ type, action, id }) => {
    if (type !== 'container' || action !== 'health_status: unhealthy') return
    if (context.containers.get(id)?.config.restart.onUnhealthy !== true) return
    context.locks
      .run(id, () => restartUnhealthy(context, id))
      .catch((error: unknown) => {
        log.warn('unhealthy container could not be restarted', { id, error })
      })
  })
}

/** It may have recovered, or been stopped, while its lock was waited for. */
async function restartUnhealthy(context: Context, id: string): Promise<void> {
  const live = context.live.get(id)
  const before = context.containers.get(id)
  if (before === undefined || before.wanted !== 'running') return
  if (live?.health?.state() !== 'unhealthy') return
  const { maxRetries = Infinity } = before.config.restart
  if (before.restartCount >= maxRetries) return
  await endProcess(context, live, before.config.stopGraceMs)
  const ended = context.containers.get(id)
  // Where the policy restarts whatever has ended, that is under way.
  if (ended?.state !== 'exited' || ended.removeOnExit) return
  context.containers.put(id, { ...ended, state: 'restarting' })
  scheduleRestart(context, ended, launchContainer)
}
