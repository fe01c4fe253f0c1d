import { describe, expect, test } from 'vitest'
import { planLifecycle, type PlannedAction } from '../../src/planner/plan-lifecycle.ts'
import type { LifecycleOptions } from '../../src/planner/desired-state.ts'
import type { ObservedState } from '../../src/planner/observed-state.ts'
import { planUp } from '../../src/planner/plan-up.ts'
import { desiredState, NOTHING, simulate } from './states.ts'

const SHOP = desiredState({
  db: { healthcheck: { test: ['CMD', 'true'] } },
  api: { depends_on: { db: { condition: 'service_healthy', required: true, restart: true } } },
  web: { depends_on: { api: { condition: 'service_started', required: true } } },
})
const UP = simulate(planUp(SHOP, NOTHING, {}), NOTHING, SHOP)
const STOPPED: ObservedState = {
  ...UP,
  containers: UP.containers.map((entry) => ({ ...entry, state: 'exited', health: 'none' })),
}

function planned(
  action: PlannedAction,
  observed: ObservedState,
  options: LifecycleOptions = {},
): string[] {
  const { operations } = planLifecycle(action, { observed, stack: SHOP.stack }, options)
  return operations.map(
    (operation) =>
      `[${operation.dependsOn.join()}] ${operation.kind} ${'service' in operation ? operation.service : ''}`,
  )
}

describe('planLifecycle()', () => {
  test('starts in dependency order and waits for conditions', () => {
    expect(planned('start', STOPPED)).toEqual([
      '[] start-container db',
      '[1] wait-for-service db',
      '[2] start-container api',
      '[3] start-container web',
    ])
  })

  test('starts what the named service depends on, unless told not to', () => {
    expect(planned('start', STOPPED, { services: ['api'] })).toEqual([
      '[] start-container db',
      '[1] wait-for-service db',
      '[2] start-container api',
    ])
    expect(planned('start', STOPPED, { services: ['api'], noDeps: true })).toEqual([
      '[] start-container api',
    ])
  })

  test('stops dependents first, and only the named services', () => {
    expect(planned('stop', UP)).toEqual([
      '[] stop-container web',
      '[1] stop-container api',
      '[2] stop-container db',
    ])
    expect(planned('stop', UP, { services: ['db'] })).toEqual(['[] stop-container db'])
  })

  test('restarts what asks to restart with the named service', () => {
    expect(planned('restart', UP, { services: ['db'] })).toEqual([
      '[] stop-container api',
      '[1] stop-container db',
      '[2] start-container db',
      '[3] wait-for-service db',
      '[1,4] start-container api',
    ])
    expect(planned('restart', UP, { services: ['db'], noDeps: true })).toEqual([
      '[] stop-container db',
      '[1] start-container db',
    ])
  })

  test('does nothing where nothing is to be done', () => {
    expect(planned('start', UP)).toEqual([])
    expect(planned('stop', STOPPED)).toEqual([])
  })

  test('refuses services that do not exist or have no container', () => {
    expect(() => planned('start', UP, { services: ['nope'] })).toThrow('"nope": not in the stack')
    expect(() => planned('start', NOTHING, { services: ['api'] })).toThrow('it has no container')
    expect(planned('stop', NOTHING, { services: ['api'] })).toEqual([])
  })
})
