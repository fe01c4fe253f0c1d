/** What a plan marks as destructive: data that is lost, and services with data that stand still. */
import { expect, test } from 'vitest'
import type { DesiredState, DownOptions, UpOptions } from '../../src/planner/desired-state.ts'
import { formatPlan } from '../../src/planner/format-plan.ts'
import type { ObservedState } from '../../src/planner/observed-state.ts'
import { planDown } from '../../src/planner/plan-down.ts'
import type { Plan } from '../../src/planner/plan.ts'
import { planUp } from '../../src/planner/plan-up.ts'
import type { Service } from '../../src/spec/stack.ts'
import { desiredState, NOTHING, simulate } from './states.ts'

const volumes = { data: { name: 'shop_data' } }
const db: Service = { volumes: [{ type: 'volume', source: 'data', target: '/data' }] }

function stackOf(service: Service): DesiredState {
  return desiredState({ db: service }, { volumes })
}

function running(service: Service): ObservedState {
  const desired = stackOf(service)
  return simulate(planUp(desired, NOTHING, {}), NOTHING, desired)
}

/** The image's own volumes are in no field of the file. */
function withImageVolumes(observed: ObservedState): ObservedState {
  const containers = observed.containers.map((container) => ({
    ...container,
    hasAnonymousVolumes: true,
  }))
  return { ...observed, containers }
}

/** Each destructive operation, and what is shown of it. */
function marks(plan: Plan): string[] {
  const shown = formatPlan(plan)
    .split('\n')
    .flatMap((line) => (line.trim().startsWith('! ') ? line.trim() : []))
  const marked = plan.operations.flatMap(({ kind, destructive }) =>
    destructive === undefined ? [] : `${kind} ${destructive}`,
  )
  expect(shown).toHaveLength(marked.length)
  return marked
}

const up = (service: Service, observed: ObservedState, options: UpOptions = {}): string[] =>
  marks(planUp(stackOf(service), observed, options))
const down = (observed: ObservedState, options: DownOptions): string[] =>
  marks(planDown(observed, stackOf(db).stack, options))

const STILL = ['remove-container stateful-replacement']

test('a service with volumes that is made anew', () => {
  expect(up({ ...db, user: '1' }, running(db))).toEqual(STILL)
  expect(up(db, running(db), { forceRecreate: true })).toEqual(STILL)
  expect(up({ user: '1' }, withImageVolumes(running({})))).toEqual(STILL)
})

test('not what has none, changes in place, or is only removed with its data kept', () => {
  expect(up({ user: '1' }, running({}))).toEqual([])
  expect(up({ ...db, mem_limit: '67108864' }, running(db))).toEqual([])
  expect(up(db, running({ ...db, scale: 2 }))).toEqual([])
  expect(down(running(db), {})).toEqual([])
})

test('a rollout that stops first, and none that starts first', () => {
  const rolling = (order: string): Service => ({ ...db, deploy: { update_config: { order } } })
  const of = (order: string): string[] =>
    up({ ...rolling(order), user: '1' }, running(rolling(order)))
  expect(of('stop-first')).toEqual(['roll-out-service stateful-replacement'])
  expect(of('start-first')).toEqual([])
})

test('volumes that go with their data, those of the image too', () => {
  const lost = 'remove-container data-loss'
  expect(down(running(db), { volumes: true })).toEqual([lost, 'remove-volume data-loss'])
  expect(down(withImageVolumes(running({})), { volumes: true })).toEqual([lost])
})
