import { expect, test } from 'vitest'
import type { Override } from '../../src/api/status-types.ts'
import { overrideBy, stopBy, withoutStop } from '../../src/reconciler/loop/interventions.ts'

const SCALED = overrideBy('anna', { kind: 'scaled', replicas: 3 }, {})

test.each<[what: string, before: Override | undefined, replicas: number | undefined]>([
  ['of a service as its file says', undefined, undefined],
  ['of a scaled one', SCALED, 3],
  ['of one that was scaled for a time', overrideBy('anna', SCALED, { forSeconds: 60 }), undefined],
  ['after another stop', stopBy('anna', SCALED, { forSeconds: 60 }), 3],
])('a stop %s leaves the number of replicas when it is over', (_, before, replicas) => {
  const stop = stopBy('ben', before, {})
  expect(stop).toMatchObject({ kind: 'stopped', author: 'ben' })
  const after = withoutStop(stop)
  expect([after?.kind, after?.replicas]).toEqual(
    replicas === undefined ? [undefined, undefined] : ['scaled', replicas],
  )
})

test('what is no stop stays', () => {
  expect(withoutStop(SCALED)).toBe(SCALED)
})
