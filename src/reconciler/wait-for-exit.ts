import type { Context } from './context.ts'
import { requireContainer } from './find-container.ts'

/** The exit code of a container, when it has ended; at once when it does not run. */
export async function waitForExit(context: Context, id: string): Promise<number> {
  const before = requireContainer(context, id)
  await context.live.get(id)?.ended
  return context.containers.get(id)?.exitCode ?? before.exitCode ?? 0
}
