/**
 * After the daemon, or the host, has been away: starts that were asked for and not done, and restarts by policy, in the
 * order of `depends_on` and with its conditions, as if somebody had asked for them together.
 */
import { planLifecycle } from '../planner/plan-lifecycle.ts'
import { log } from '../log.ts'
import { scheduleRestart } from './container-exit.ts'
import type { Context } from './context.ts'
import { operationDriver } from './drive-operation.ts'
import { executePlan } from './execute-plan.ts'
import { launchContainer } from './launch-container.ts'
import { containersOf, observe } from './observe.ts'
import type { ContainerRecord } from './records.ts'

const CONCURRENCY = 8

/** Call once, when all that runs has been adopted. A request for the stack waits for its starts. */
export async function resumeStarts(context: Context): Promise<void> {
  const stacks = new Set(
    context.containers
      .values()
      .filter(isUnfinished)
      .map(({ config }) => config.stack),
  )
  await Promise.all(
    [...stacks].map((stack) =>
      context.locks.run(`stack ${stack}`, (hurry) => startInOrder(context, stack, hurry), {
        abandoned: AbortSignal.abort(), // nobody waits for it
      }),
    ),
  )
}

function isUnfinished({ state, wanted, part }: ContainerRecord): boolean {
  if (part !== undefined) return false
  if (state === 'exited') return wanted === 'restarted'
  return state === 'restarting' || (state === 'created' && wanted === 'running')
}

async function startInOrder(context: Context, stack: string, hurry: AbortSignal): Promise<void> {
  const unfinished = containersOf(context, stack).filter(isUnfinished)
  for (const record of unfinished) settle(context, record)
  const services = [
    ...new Set(
      unfinished.filter(({ config }) => !config.oneoff).map(({ config }) => config.service),
    ),
  ]
  const target = { observed: observe(context, stack), stack: context.stacks.get(stack)?.stack }
  const meant = new Set(unfinished.map(({ id }) => id))
  const plan = planLifecycle('start', target, { services, noDeps: true })
  const drive = operationDriver(context, plan, { stack, hurry })
  await executePlan(plan, {
    // Another replica of the service may have ended for good.
    drive: async (operation) =>
      operation.kind === 'start-container' && !meant.has(operation.containerId ?? '')
        ? {}
        : drive(operation),
    progress: () => undefined,
    concurrency: CONCURRENCY,
  }).catch((error: unknown) => {
    log.warn('stack could not be started in full', { stack, error })
  })
  for (const { id, state } of unfinished) if (state === 'restarting') retry(context, id)
}

/** For the planner a container that waits for its restart is under way. */
function settle(context: Context, record: ContainerRecord): void {
  clearTimeout(context.restartTimers.get(record.id))
  context.restartTimers.delete(record.id)
  if (record.state === 'restarting')
    context.containers.put(record.id, { ...record, state: 'exited' })
}

/** What could not be started is left to its restart policy. */
function retry(context: Context, id: string): void {
  const record = context.containers.get(id)
  if (record?.state !== 'exited' || record.wanted !== 'running') return
  if (record.config.restart.condition === 'no') return
  context.containers.put(id, { ...record, state: 'restarting' })
  scheduleRestart(context, record, launchContainer)
}
