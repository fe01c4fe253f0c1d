/** A saved plan is refused when anything has changed that it was made from, and only then. */
import { expect, test } from 'vitest'
import { baseStateDigest } from '../../src/planner/base-state.ts'
import type { ObservedState } from '../../src/planner/observed-state.ts'
import { planUp } from '../../src/planner/plan-up.ts'
import { desiredState, NOTHING, simulate } from './states.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const desired = desiredState(
  { web: { volumes: [{ type: 'volume', source: 'data', target: '/data' }], scale: 2 } },
  { volumes: { data: { name: 'shop_data' } }, imageDigests: { web: DIGEST } },
)
const observed = simulate(planUp(desired, NOTHING, {}), NOTHING, desired)
const base = baseStateDigest(desired, observed, {})
const [first, ...others] = observed.containers
if (first === undefined) throw new Error('there is no container')

const withFirst = (change: object): ObservedState => ({
  ...observed,
  containers: [{ ...first, ...change }, ...others],
})

test.each<[string, ObservedState]>([
  ['a container that was stopped', withFirst({ state: 'exited', stopRequested: true })],
  ['another container in its place', withFirst({ id: 'another' })],
  ['one that is gone', { ...observed, containers: others }],
  ['a network that is gone', { ...observed, networks: [] }],
  ['a volume that is gone', { ...observed, volumes: [] }],
])('refused: %s', (_, now) => {
  expect(baseStateDigest(desired, now, {})).not.toBe(base)
})

test('refused: an image, a model, a content, an option', () => {
  const changed = [
    { ...desired, imageDigests: { web: DIGEST.replaceAll('a', 'b') } },
    { ...desired, stack: { ...desired.stack, services: {} } },
    { ...desired, contentDigests: { configs: { settings: 'c' }, secrets: {} } },
    { ...desired, mountedImageDigests: { 'tools:1': DIGEST } },
  ]
  for (const now of changed) expect(baseStateDigest(now, observed, {})).not.toBe(base)
  expect(baseStateDigest(desired, observed, { forceRecreate: true })).not.toBe(base)
})

test('applied: other health, another order, what is beside the stack, an option that says the default', () => {
  expect(baseStateDigest(desired, withFirst({ health: 'unhealthy' }), {})).toBe(base)
  const reversed = { ...observed, containers: [...observed.containers].reverse() }
  expect(baseStateDigest(desired, reversed, {})).toBe(base)
  const beside = { ...observed, others: { networks: ['proxy'], volumes: [] } }
  expect(baseStateDigest(desired, beside, { noDeps: false })).toBe(base)
})
