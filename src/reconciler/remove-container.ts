import { rm } from 'node:fs/promises'
import { emitContainerEvent } from './container-event.ts'
import type { Context } from './context.ts'
import { ioOptions } from './container-streams.ts'
import { removeImageMounts } from './image-mounts.ts'
import { TsstackError } from '../errors.ts'

/** @param options.volumes its anonymous volumes go too */
export async function removeContainer(
  context: Context,
  id: string,
  options: { readonly volumes?: boolean } = {},
): Promise<void> {
  const record = context.containers.get(id)
  if (record === undefined) return
  if (context.live.has(id)) {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot remove container "${record.config.name}": it is running`,
      {
        hint: 'Stop it first, or remove it by force',
      },
    )
  }
  clearTimeout(context.restartTimers.get(id))
  context.restartTimers.delete(id)
  context.networks.release(id)
  await context.snapshotter.remove(id)
  await removeImageMounts(context, record)
  await rm(ioOptions(context, record).directory, { recursive: true, force: true })
  context.containers.delete(id) // last: until then a crash finds it and goes on
  if (options.volumes === true || record.removeOnExit) {
    for (const volume of Object.values(record.anonymousVolumes)) {
      await context.volumes.remove(volume)
      context.volumeRecords.delete(volume)
    }
  }
  emitContainerEvent(context, record, 'destroy')
}
