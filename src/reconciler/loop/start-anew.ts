import type { Context } from '../context.ts'
import { launchContainer } from '../launch-container.ts'
import { stopContainer } from '../stop-container.ts'

/** Stops a container and starts it again: for what can't be mended while it runs. The caller holds the stack's lock. */
export async function startAnew(context: Context, id: string): Promise<void> {
  await context.locks.run(id, async () => {
    await stopContainer(context, id, { restarts: true })
    const record = context.containers.get(id)
    if (record === undefined) return
    context.containers.put(id, { ...record, wanted: 'running' })
    await launchContainer(context, id)
  })
}
