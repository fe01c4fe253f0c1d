import { expect, test } from 'vitest'
import { createLocks } from '../../src/reconciler/locks.ts'

const KEY = 'stack shop'

/** Waits until it is told to hurry. @returns with what */
const wait = (hurry: AbortSignal): Promise<string> =>
  new Promise((resolve) => {
    const end = (): void => {
      resolve((hurry.reason as Error).message)
    }
    if (hurry.aborted) end()
    else hurry.addEventListener('abort', end)
  })

test('one after the other, whatever becomes of the one before', async () => {
  const locks = createLocks()
  const order: string[] = []
  const failing = locks.run(KEY, async () => {
    await new Promise((resolve) => setImmediate(resolve))
    order.push('first')
    throw new Error('bad')
  })
  const second = locks.run(KEY, () => Promise.resolve(order.push('second')))
  await expect(failing).rejects.toThrow('bad')
  await second
  expect(order).toEqual(['first', 'second'])
})

test('who is urgent is not kept waiting, by those in the queue either', async () => {
  const locks = createLocks()
  const holder = locks.run(KEY, wait)
  const queued = locks.run(KEY, wait, { urgency: 'request' })
  await locks.run(KEY, () => Promise.resolve(), { urgency: 'urgent' })
  expect(await holder).toContain('another request')
  expect(await queued).toContain('another request')
})

test('a request ends the waits of what nobody is interested in any more, a look does not', async () => {
  const locks = createLocks()
  const client = new AbortController()
  const ended: string[] = []
  const holder = locks.run(KEY, wait, { abandoned: client.signal }).then(() => ended.push('holder'))
  const look = locks.run(KEY, () => Promise.resolve())
  client.abort()
  await new Promise((resolve) => setImmediate(resolve))
  expect(ended).toEqual([])
  await locks.run(KEY, () => Promise.resolve(), { urgency: 'request' })
  await Promise.all([holder, look])
  expect(ended).toEqual(['holder'])
})

test('a client that leaves while a request waits', async () => {
  const locks = createLocks()
  const client = new AbortController()
  const holder = locks.run(KEY, wait, { abandoned: client.signal })
  const next = locks.run(KEY, () => Promise.resolve('done'), { urgency: 'request' })
  client.abort()
  expect(await next).toBe('done')
  await holder
})
