/** `--dry-run`: the plan that would be executed is told as progress, each operation with its cause, and nothing is done. */
import type { UpRequest } from '../api/types.ts'
import type { Plan } from '../planner/plan.ts'
import type { Context } from './context.ts'
import { executePlan } from './execute-plan.ts'
import { wayBack, type RollbackTarget } from './revisions/roll-back.ts'
import { isSignalling, signalContainers } from './signal-containers.ts'
import { finish, tellPlan, type Progress } from './run-plan.ts'
import { planStack, planStackLifecycle, type LifecycleTarget } from './stack-operations.ts'
import { planStackDown, type DownTarget } from './take-down.ts'

async function rehearse(context: Context, plan: Plan, progress: Progress): Promise<void> {
  tellPlan(plan, progress)
  const drive = ({ cause }: Plan['operations'][number]): Promise<{ detail: string }> =>
    Promise.resolve({ detail: `(${cause})` })
  await executePlan(plan, { drive, progress, concurrency: 1 })
  finish(context, { stack: plan.stack, changed: plan.operations.length > 0 }, progress)
}

/** Changes nothing but the image store: what a local reference means has to be known. */
export async function rehearseUp(
  context: Context,
  request: UpRequest,
  progress: Progress,
): Promise<void> {
  const { plan } = await planStack(context, request)
  await rehearse(context, plan, progress)
}

export async function rehearseRollback(
  context: Context,
  target: RollbackTarget,
  progress: Progress,
): Promise<void> {
  const { up, pins } = wayBack(context, target)
  const { plan } = await planStack(context, up, pins)
  await rehearse(context, plan, progress)
}

export async function rehearseDown(
  context: Context,
  target: DownTarget,
  progress: Progress,
): Promise<void> {
  await rehearse(context, planStackDown(context, target), progress)
}

export async function rehearseLifecycle(
  context: Context,
  target: LifecycleTarget,
  progress: Progress,
): Promise<void> {
  const { action } = target.request
  if (isSignalling(action)) {
    await signalContainers(context, target, progress)
    finish(context, { stack: target.stack, changed: true }, progress)
  } else await rehearse(context, planStackLifecycle(context, target, action), progress)
}
