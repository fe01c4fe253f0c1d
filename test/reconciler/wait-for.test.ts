import { expect, test } from 'vitest'
import type { Context } from '../../src/reconciler/context.ts'
import { waitForService } from '../../src/reconciler/wait-for.ts'

test('a signal that was aborted before ends the wait', async () => {
  const listeners = new Set<unknown>()
  const starting = {
    id: 'a',
    state: 'restarting',
    config: { stack: 'shop', service: 'web', name: 'shop-web-1', oneoff: false },
  }
  const context = {
    containers: { values: () => [starting] },
    events: {
      subscribe: (listener: unknown) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
  } as unknown as Context
  const waiting = waitForService(context, {
    stack: 'shop',
    service: 'web',
    goal: 'settled',
    signal: AbortSignal.abort(),
  })
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' })
  expect(listeners.size).toBe(0)
})
