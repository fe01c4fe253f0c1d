/**
 * Containers, networks and volumes that are wanted and missing, or that should run and don't: the planner's question,
 * asked of the current revision. What is as it may be is shown to the planner as running, so that only drift is left:
 * what ended by itself and is not to be restarted, what a person stopped, what was created to be started later.
 */
import type { DesiredState } from '../../planner/desired-state.ts'
import type { ObservedContainer, ObservedState } from '../../planner/observed-state.ts'
import type { Operation, Plan } from '../../planner/plan.ts'
import { planUp } from '../../planner/plan-up.ts'
import { serviceConfiguration } from '../../planner/service-fields.ts'
import type { Context } from '../context.ts'
import { restartsByPolicy } from '../container-exit.ts'
import { resolveStack } from '../desired-state-of.ts'
import { operationDriver } from '../drive-operation.ts'
import { executePlan } from '../execute-plan.ts'
import { containersOf, healthOf, observe } from '../observe.ts'
import type { ContainerRecord } from '../records.ts'
import { concludeRevision } from '../revisions/as-revision.ts'
import type { RevisionRecord } from '../revisions/revision-store.ts'
import { goOnWithDown, planLeftOfDown } from '../take-down.ts'
import type { FoundDrift } from './drift.ts'
import { interventionsOf } from './interventions.ts'

const CONCURRENCY = 8

/** By stack: what there was nothing to do about when it was last planned. The plan of the same is empty again. */
export type SettledPlans = Map<string, readonly unknown[]>

/** @returns at most one: a plan is carried out as a whole */
export function findPlanDrift(
  context: Context,
  stack: string,
  { settledPlans, hurry }: { readonly settledPlans: SettledPlans; readonly hurry: AbortSignal },
): FoundDrift[] {
  const record = context.stacks.get(stack)
  const revision = context.revisions.latest(stack)
  if (record?.down?.isHeld === true) return []
  const unfinished = planLeftOfDown(context, stack)
  if (unfinished !== undefined) return findLeftOfDown(context, unfinished)
  if (record === undefined || revision === undefined || revision.outcome.status === 'failed')
    return []
  const scope = record.scope ?? []
  if (scope.length === 0) return []
  const isInterrupted = revision.outcome.status === 'applying'
  const inputs = [record, revision.number, isInterrupted, ...observedRecords(context, stack)]
  if (areSame(settledPlans.get(stack), inputs)) return []
  const desired = context.revisions.desiredOf(revision)
  const observed = observe(context, stack)
  // What was cut short goes on as it began; otherwise a difference is nobody's order to replace a container.
  const plan = planUp(desired, isInterrupted ? observed : settled(context, desired, observed), {
    ...(isInterrupted ? revision.options : { services: scope, noDeps: true, noRecreate: true }),
    scale: scaleOf(context, stack),
  })
  if (plan.operations.length === 0) {
    if (isInterrupted) context.revisions.settle(revision, { status: 'succeeded' })
    settledPlans.set(stack, inputs)
    return []
  }
  const difference = plan.operations.map(describe).join(', ')
  const carryOut = (): Promise<void> => apply(context, { revision, plan, scope, hurry })
  const repair = (): Promise<void> =>
    isInterrupted ? concludeRevision(context, revision, carryOut) : carryOut()
  return [{ kind: 'containers', subject: stack, difference, repair }]
}

function findLeftOfDown(context: Context, plan: Plan): FoundDrift[] {
  const { stack, operations } = plan
  const difference = operations.map(describe).join(', ')
  const repair = (): Promise<void> => goOnWithDown(context, stack, plan)
  return [{ kind: 'containers', subject: stack, difference, repair }]
}

/** All that a plan is made from: records, which are replaced and never changed, and what is known beside them. */
function observedRecords(context: Context, stack: string): unknown[] {
  return [
    context.interventions.get(stack),
    ...containersOf(context, stack).flatMap((record) => [
      record,
      healthOf(context, record),
      context.restartTimers.has(record.id),
    ]),
    ...context.networks.documents(),
    ...context.volumeRecords.values(),
  ]
}

function areSame(before: readonly unknown[] | undefined, now: readonly unknown[]): boolean {
  return before?.length === now.length && before.every((value, index) => value === now[index])
}

/** Numbers of replicas that a person has asked for, by service. */
function scaleOf(context: Context, stack: string): Readonly<Record<string, number>> {
  const { services } = interventionsOf(context.interventions, stack)
  return Object.fromEntries(
    Object.entries(services).flatMap(([name, { replicas }]) =>
      replicas === undefined ? [] : [[name, replicas]],
    ),
  )
}

function describe(operation: Operation): string {
  const subject =
    'container' in operation
      ? operation.container
      : 'network' in operation
        ? operation.network
        : 'volume' in operation
          ? operation.volume
          : operation.service
  return `${operation.kind} ${subject}: ${operation.cause}`
}

/** Changes that an `up` of other services left undone are no drift. */
function settled(context: Context, desired: DesiredState, observed: ObservedState): ObservedState {
  const configurations = new Map(
    Object.keys(desired.stack.services).map((name) => [name, serviceConfiguration(name, desired)]),
  )
  return {
    ...observed,
    containers: observed.containers.map((container) => ({
      ...container,
      ...configurations.get(container.service),
      ...(isContent(context, container) ? { state: 'running', health: 'healthy' } : {}),
    })),
  }
}

function isContent(context: Context, { id, state }: ObservedContainer): boolean {
  const record = context.containers.get(id)
  if (record === undefined || context.restartTimers.has(id)) return true
  if (state === 'created') return record.wanted === 'stopped'
  return state === 'exited' && !isOwedStart(record) && !restartsByPolicy(record)
}

/** It did not end by itself: it was stopped to start again, or could not be started. */
function isOwedStart({ wanted, error }: ContainerRecord): boolean {
  return wanted === 'restarted' || (wanted === 'running' && error !== undefined)
}

async function apply(
  context: Context,
  {
    revision,
    plan,
    scope,
    hurry,
  }: {
    readonly revision: RevisionRecord
    readonly plan: Plan
    readonly scope: readonly string[]
    readonly hurry: AbortSignal
  },
): Promise<void> {
  const source = context.revisions.sourceOf(revision)
  const pins = { services: revision.imageDigests, mounted: revision.mountedImageDigests }
  const resolved = await resolveStack(context, source, scope, pins)
  const drive = operationDriver(context, plan, { stack: revision.stack, resolved, hurry })
  await context.telemetry.plan({ plan, drive }, (measured) =>
    executePlan(plan, {
      drive: measured,
      progress: () => undefined,
      concurrency: CONCURRENCY,
    }),
  )
}
