/** Has a plan carried out, and tells a client what becomes of it. */
import type { RequestManner } from '../api/request-manner.ts'
import type { ProgressEvent } from '../api/types.ts'
import type { Plan } from '../planner/plan.ts'
import { summarize } from './container-summary.ts'
import type { Context } from './context.ts'
import { operationDriver, type DriveOptions } from './drive-operation.ts'
import { executePlan } from './execute-plan.ts'
import { containersOf } from './observe.ts'

export type Progress = (event: ProgressEvent) => void

/** Starting is bound by the kernel's locks, not by waiting: a few at once keep two cores busy. */
export const CONCURRENCY = 8
/** What `--parallel` may ask for. */
const MAX_CONCURRENCY = 1000

/** @returns whether there was anything to do @throws the first failure, when all that could be done has been */
export async function runPlan(
  context: Context,
  plan: Plan,
  options: DriveOptions & { readonly concurrency: number },
  progress: Progress,
): Promise<boolean> {
  const { concurrency } = options
  tellPlan(plan, progress)
  const told = withoutRepeats(progress)
  const drive = operationDriver(context, plan, { ...options, progress: told })
  await context.telemetry.plan({ plan, drive }, (measured) =>
    executePlan(plan, { drive: measured, progress: told, concurrency }),
  )
  return plan.operations.length > 0
}

/** What is to be said of a service is said once, however many replicas it has. */
function withoutRepeats(progress: Progress): Progress {
  const told = new Set<string>()
  return (event) => {
    if (event.type === 'warning' && told.has(event.message)) return
    if (event.type === 'warning') told.add(event.message)
    progress(event)
  }
}

/** How many operations will come, and what to be wary of. */
export function tellPlan(plan: Plan, progress: Progress): void {
  progress({ type: 'plan', operations: plan.operations.length })
  for (const message of plan.warnings) progress({ type: 'warning', message })
}

/** How a request wants its plan to be carried out. */
export function mannerOf(
  { parallel }: RequestManner,
  timeoutSeconds: number | undefined,
): { readonly concurrency: number; readonly graceMs?: number } {
  const grace = timeoutSeconds === undefined ? {} : { graceMs: timeoutSeconds * 1000 }
  return { concurrency: Math.min(parallel ?? CONCURRENCY, MAX_CONCURRENCY), ...grace }
}

/** The last word: whether anything was changed, and what there is now. */
export function finish(
  context: Context,
  done: { readonly stack: string; readonly changed: boolean },
  progress: Progress,
): void {
  const containers = containersOf(context, done.stack).map((record) => summarize(context, record))
  progress({ type: 'done', changed: done.changed, containers })
}
