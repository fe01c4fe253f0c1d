/**
 * `down`: what is to go is written down first. A daemon that comes after one that was killed in it, and a look after a
 * failure, go on with it instead of bringing back what is gone already. What a pre_stop hook has not saved may be in its
 * container alone: then nothing goes on by itself.
 */
import type { DownRequest } from '../api/types.ts'
import { planDown } from '../planner/plan-down.ts'
import type { Plan } from '../planner/plan.ts'
import { HookFailure } from './container-hooks.ts'
import type { Context } from './context.ts'
import { containersOf, observe } from './observe.ts'
import { runHastening } from './stop-container.ts'
import { CONCURRENCY, finish, mannerOf, runPlan, type Progress } from './run-plan.ts'

export interface DownTarget {
  readonly stack: string
  readonly request: DownRequest
}

/** @returns what `down` would do now */
export function planStackDown(context: Context, { stack: name, request }: DownTarget): Plan {
  const stack = request.source?.stack ?? context.stacks.get(name)?.stack
  return planDown(observe(context, name), stack, request.options)
}

/** Removes containers and networks, and volumes when asked. The stack file is not needed. */
export async function downStack(
  context: Context,
  target: DownTarget,
  progress: Progress,
): Promise<void> {
  const { stack: name, request } = target
  const work = async (): Promise<void> => {
    const plan = planStackDown(context, target)
    noteDown(context, target)
    const options = { stack: name, ...mannerOf(request, request.options.timeoutSeconds) }
    let changed = await unlessHeld(context, name, () => runPlan(context, plan, options, progress))
    // A run of a job or of a hook may have begun before it could know.
    const late = planStackDown(context, target)
    if (late.operations.some(({ kind }) => kind === 'remove-container'))
      changed = (await runPlan(context, late, options, progress)) || changed
    endDown(context, name)
    finish(context, { stack: name, changed }, progress)
  }
  const { services = [], timeoutSeconds } = request.options
  const urgency = services.length === 0 ? 'urgent' : 'request'
  await runHastening(context, { stack: name, services, timeoutSeconds, urgency }, work)
}

/** What is left to do of a `down` that did not come to its end; undefined when there is none. */
export function planLeftOfDown(context: Context, name: string): Plan | undefined {
  const down = context.stacks.get(name)?.down
  return down && planDown(observe(context, name), down.stack, down.options)
}

/** @param work - stops the containers of a stack that is going */
async function unlessHeld<T>(context: Context, name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const record = context.stacks.get(name)
    if (error instanceof HookFailure && record?.down !== undefined)
      context.stacks.put(name, { ...record, down: { ...record.down, isHeld: true } })
    throw error
  }
}

/** The caller holds the stack's lock. */
export async function goOnWithDown(context: Context, name: string, plan: Plan): Promise<void> {
  const options = { stack: name, concurrency: CONCURRENCY }
  await unlessHeld(context, name, () => runPlan(context, plan, options, () => undefined))
  endDown(context, name)
}

function noteDown(context: Context, { stack: name, request }: DownTarget): void {
  const record = context.stacks.get(name)
  if (record === undefined) return
  const { timeoutSeconds, ...options } = request.options
  const stack = request.source?.stack ?? record.stack
  context.stacks.put(name, { ...record, down: { stack, options } })
}

function endDown(context: Context, name: string): void {
  const left = new Set(containersOf(context, name).map(({ config }) => config.service))
  context.estates.forget(name, (service) => !left.has(service))
  forgetIfEmpty(context, name)
  const record = context.stacks.get(name)
  if (record === undefined) return
  const { down, ...rest } = record
  context.stacks.put(name, rest)
  forgetServices(context, name)
}

/** When nothing of the stack is left, nothing of it is remembered; a volume that stays keeps no range, its ids are plain. */
function forgetIfEmpty(context: Context, name: string): void {
  if (containersOf(context, name).length > 0 || context.networks.documentsOf(name).length > 0)
    return
  context.userNamespaces.get(name)?.close()
  context.userNamespaces.delete(name)
  context.stacks.delete(name)
  context.interventions.delete(name)
  context.events.emit({ type: 'stack', action: 'destroy', stack: name, id: name, attributes: {} })
  context.loop.request(name) // which forgets what it knew of it
}

/** Services of which no container is left have been taken down: the loop does not bring them back. */
export function forgetServices(context: Context, name: string): void {
  const record = context.stacks.get(name)
  if (record === undefined) return
  const left = new Set(containersOf(context, name).map(({ config }) => config.service))
  const scope = (record.scope ?? []).filter((service) => left.has(service))
  if (scope.length !== record.scope?.length) context.stacks.put(name, { ...record, scope })
}
