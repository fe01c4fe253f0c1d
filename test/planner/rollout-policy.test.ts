import { describe, expect, test } from 'vitest'
import { describePolicy, rolloutPolicies } from '../../src/planner/rollout-policy.ts'
import type { UpdateConfig } from '../../src/spec/stack.ts'

function policiesOf(update: UpdateConfig, rollback?: UpdateConfig): unknown {
  const deploy = {
    update_config: update,
    ...(rollback === undefined ? {} : { rollback_config: rollback }),
  }
  return rolloutPolicies('web', { deploy })
}

describe('rolloutPolicies()', () => {
  test('is nothing without an update_config', () => {
    expect(rolloutPolicies('web', {})).toBeUndefined()
    expect(rolloutPolicies('web', { deploy: { rollback_config: {} } })).toBeUndefined()
  })

  test('has the defaults of the Compose Specification', () => {
    const policy = {
      order: 'stop-first',
      parallelism: 1,
      delayMs: 0,
      monitorMs: 0,
      maxFailureRatio: 0,
      failureAction: 'pause',
    }
    expect(policiesOf({})).toEqual({ update: policy, rollback: policy, drainMs: 10_000 })
  })

  test('goes back as it goes forward, where nothing is said of the way back', () => {
    const update = { order: 'start-first', parallelism: 0, failure_action: 'rollback' }
    expect(policiesOf(update)).toMatchObject({
      rollback: { order: 'start-first', parallelism: 0, failureAction: 'pause' },
    })
    expect(policiesOf(update, { delay: '1m30s' })).toMatchObject({
      rollback: { order: 'stop-first', parallelism: 1, delayMs: 90_000 },
    })
  })

  test.each<[UpdateConfig, UpdateConfig | undefined, string]>([
    [{ failure_action: 'panic' }, undefined, 'failure_action "panic"'],
    [{ parallelism: -1 }, undefined, 'parallelism -1'],
    [{ max_failure_ratio: 2 }, undefined, 'max_failure_ratio 2'],
    [{}, { failure_action: 'rollback' }, 'rollback_config'],
  ])('refuses %j with %j', (update, rollback, message) => {
    expect(() => policiesOf(update, rollback)).toThrow(message)
  })
})

test.each([
  [1, 1, 'rolling, start-first'],
  [1, 4, 'rolling, start-first, 1 at a time'],
  [0, 4, 'rolling, start-first, all at once'],
  [9, 4, 'rolling, start-first, all at once'],
])('describePolicy() of %i of %i', (parallelism, replicas, text) => {
  const update = { order: 'start-first', parallelism } as const
  const policies = rolloutPolicies('web', { deploy: { update_config: update } })
  expect(policies && describePolicy(policies.update, replicas)).toBe(text)
})
