/** Starting a container because somebody asked for it: with its hooks, and with its restart policy beginning anew. */
import { describeWarnings, startWarnings } from './cgroup-warnings.ts'
import { runPostStartHooks, runPreStartHooks } from './container-hooks.ts'
import type { Context } from './context.ts'
import { requireContainer } from './find-container.ts'
import { launchContainer } from './launch-container.ts'

/**
 * Nothing to do when it runs.
 * @param hurry - raised when hooks are not to be waited for any more
 * @returns a warning for the user
 */
export async function startOnRequest(
  context: Context,
  id: string,
  hurry?: AbortSignal,
): Promise<string | undefined> {
  return context.locks.run(id, async () => {
    const record = requireContainer(context, id)
    context.containers.put(id, { ...record, wanted: 'running', restartCount: 0 })
    if (!context.live.has(id)) {
      await runPreStartHooks(context, record, hurry)
      await launchContainer(context, id)
      await runPostStartHooks(context, record, hurry)
    }
    const live = context.live.get(id)
    return describeWarnings(
      record.config.name,
      live === undefined ? [] : startWarnings(record.config, live),
    )
  })
}
