import { expect, test } from 'vitest'
import type { Condition } from '../../src/api/status-types.ts'
import {
  serviceConditions,
  stackConditions,
  type ReplicaView,
  type ServiceView,
  type StackView,
} from '../../src/reconciler/loop/conditions.ts'

const running: ReplicaView = {
  name: 'shop-web-1',
  state: 'running',
  health: 'none',
  completed: false,
}

/** What holds, as `Type/Reason: message`; all are about revision 3. */
function holding(conditions: readonly Condition[]): string[] {
  expect(conditions.map(({ type }) => type)).toEqual([
    'Ready',
    'Progressing',
    'Degraded',
    'Stalled',
  ])
  expect(conditions.every(({ observedRevision }) => observedRevision === 3)).toBe(true)
  return conditions
    .filter(({ status }) => status === 'True')
    .map(({ type, reason, message }) => `${type}/${reason}${message === '' ? '' : `: ${message}`}`)
}

function service(replica: Partial<ReplicaView>, more: Partial<ServiceView> = {}): string[] {
  const view = { desired: 1, replicas: [{ ...running, ...replica }], ...more }
  return holding(serviceConditions(view, 3))
}

test('a service is ready, on its way, or degraded, and says why', () => {
  expect(service({})).toEqual(['Ready/AsDesired'])
  expect(service({ health: 'healthy' })).toEqual(['Ready/AsDesired'])
  const incoming = [{ ...running, name: 'shop-web-1-next', health: 'starting' as const }]
  expect(service({}, { incoming })).toEqual([
    'Progressing/Starting: shop-web-1-next is not healthy yet',
  ])
  expect(service({ health: 'starting' })).toEqual([
    'Progressing/Starting: shop-web-1 is not healthy yet',
  ])
  expect(service({ health: 'unhealthy' })).toEqual(['Degraded/Unhealthy: shop-web-1 is unhealthy'])
  expect(service({ state: 'exited', exitCode: 1, error: 'no such program' })).toEqual([
    'Degraded/Exited: shop-web-1 has exited with code 1: no such program',
  ])
  expect(service({ state: 'exited', exitCode: 0, completed: true })).toEqual(['Ready/AsDesired'])
  expect(service({ state: 'restarting', exitCode: 2 })).toEqual([
    'Degraded/Restarting: shop-web-1 has exited with code 2 and is to be started again',
  ])
  expect(service({ state: 'paused' })).toEqual(['Degraded/Paused: shop-web-1 is paused'])
  expect(service({ state: 'created' })).toEqual(['Degraded/NotStarted: shop-web-1 was not started'])
  expect(service({}, { desired: 0, orphan: true })).toEqual([
    'Ready/Orphan: no longer in the stack file ("up --remove-orphans" removes it)',
  ])
  expect(service({}, { outdated: 1 })).toEqual([
    'Degraded/Outdated: 1 of 1 containers are as before the last change',
  ])
  expect(service({}, { desired: 2 })).toEqual(['Degraded/Missing: 1 of 2 containers are there'])
})

test('what a person stopped is degraded by hand, until it ends', () => {
  const override = {
    kind: 'stopped',
    author: 'ann',
    since: '2026-01-01T00:00:00Z',
    until: '2026-01-02T00:00:00Z',
  } as const
  expect(service({ state: 'exited', exitCode: 137 }, { override })).toEqual([
    'Degraded/StoppedByHand: stopped by ann until 2026-01-02T00:00:00Z',
  ])
  const why = { ...override, reason: 'new disk' }
  expect(service({ state: 'exited' }, { override: why })).toEqual([
    'Degraded/StoppedByHand: stopped by ann until 2026-01-02T00:00:00Z: new disk',
  ])
})

function stack(view: Partial<StackView>, web: Partial<ReplicaView> = {}): string[] {
  const services = new Map([
    ['web', serviceConditions({ desired: 1, replicas: [{ ...running, ...web }] }, 3)],
  ])
  const revision = { number: 3, outcome: { status: 'succeeded', at: '' } } as const
  return holding(stackConditions({ revision, drift: 0, failures: 0, ...view }, services))
}

test('a stack is as its services are, as its revision is, and as its repairs go', () => {
  expect(stack({})).toEqual(['Ready/AsDesired'])
  expect(stack({}, { health: 'starting' })).toEqual([
    'Progressing/Starting: web: shop-web-1 is not healthy yet',
  ])
  expect(stack({}, { health: 'unhealthy' })).toEqual([
    'Degraded/Unhealthy: web: shop-web-1 is unhealthy',
  ])
  expect(stack({ drift: 2 })).toEqual(['Degraded/Drift: 2 differences are not repaired'])
  expect(stack({ revision: { number: 3, outcome: { status: 'applying', at: '' } } })).toEqual([
    'Progressing/Applying: revision 3 is being applied',
  ])
  const failed = { status: 'failed', at: '', message: 'no such image' } as const
  expect(stack({ revision: { number: 3, outcome: failed } })).toEqual([
    'Degraded/RevisionFailed: no such image',
    'Stalled/RevisionFailed: no such image',
  ])
  expect(stack({ drift: 1, failures: 4, lastError: 'EBUSY' })).toEqual([
    'Degraded/Drift: 1 difference is not repaired',
  ])
  expect(stack({ drift: 1, failures: 5, lastError: 'EBUSY' })).toEqual([
    'Degraded/RepairFails: EBUSY',
    'Stalled/RepairFails: EBUSY',
  ])
})
