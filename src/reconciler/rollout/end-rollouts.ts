/** What a daemon that was killed in a rollout has left running beside what serves is stopped by the next one. */
import { log } from '../../log.ts'
import type { Context } from '../context.ts'
import type { ContainerRecord } from '../records.ts'
import { drain } from './drain.ts'
import { stopReplica } from './replace-replica.ts'

const DRAIN_MS = 10_000

/** Call once, when containers are adopted. The next `up` removes what is stopped here, and a request for the stack waits. */
export async function endRollouts(context: Context): Promise<void> {
  const left = context.containers
    .values()
    .filter(({ id, part }) => part !== undefined && context.live.has(id))
  await Promise.all(
    left.map((record) =>
      context.locks.run(`stack ${record.config.stack}`, () => end(context, record)),
    ),
  )
}

async function end(context: Context, { id, config, part }: ContainerRecord): Promise<void> {
  try {
    if (part === 'retired') await drain(context, id, { longestMs: DRAIN_MS })
    await stopReplica(context, id, {})
    log.info('container of an unfinished update stopped', { container: config.name })
  } catch (error) {
    log.warn('container of an unfinished update could not be stopped', {
      container: config.name,
      error,
    })
  }
}
