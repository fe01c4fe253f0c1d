/** A replica that is to stop, while others of its service go on: it is given no more work, and finishes what it has. */
import type { Context } from '../context.ts'
import { isReady } from '../observe.ts'
import type { ContainerRecord } from '../records.ts'
import { drain, type DrainOptions } from './drain.ts'

/**
 * Resolves when its connections have come to their end, or the time is over; at once when nobody serves in its place. From
 * here on it is wanted to be stopped.
 */
export async function leave(
  context: Context,
  id: string,
  options: Omit<DrainOptions, 'isReplaced'>,
): Promise<void> {
  const record = context.containers.get(id)
  if (record === undefined || !context.live.has(id) || !othersServe(context, record)) return
  context.containers.put(id, { ...record, wanted: 'stopped' })
  context.networks.readinessChanged(id)
  await drain(context, id, { ...options, isReplaced: () => othersServe(context, record) })
}

function othersServe(context: Context, { id, config }: ContainerRecord): boolean {
  return context.containers.values().some((other) => {
    const { stack, service, oneoff } = other.config
    const isReplica = stack === config.stack && service === config.service && !oneoff
    return isReplica && other.id !== id && context.live.has(other.id) && isReady(context, other)
  })
}
