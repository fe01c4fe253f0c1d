import { expect, test } from 'vitest'
import { passHealthGate } from '../../src/gitops/health-gate.ts'
import type { Context } from '../../src/reconciler/context.ts'

function gateOf(state: 'running' | 'restarting'): Promise<void> {
  const web = {
    id: 'a',
    state,
    restartCount: 0,
    config: { stack: 'shop', service: 'web', name: 'shop-web-1', oneoff: false },
  }
  const context = {
    containers: { values: () => [web], get: () => web },
    live: new Map(),
    events: { subscribe: () => () => undefined },
  } as unknown as Context
  return passHealthGate(context, {
    ...{ stack: 'shop', services: ['web'], signal: new AbortController().signal },
    ...{ timeoutMs: 20, monitorMs: 60 },
  })
}

test('what is ready in time passes, though it is to be watched for longer than the time that is left', async () => {
  await expect(gateOf('running')).resolves.toBeUndefined()
})

test('what is not ready in time is named', async () => {
  await expect(gateOf('restarting')).rejects.toThrow('after 0.02 s not ready: shop-web-1')
})
