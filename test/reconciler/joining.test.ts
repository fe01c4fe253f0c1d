import { expect, test } from 'vitest'
import { nobodyJoining, whileJoining } from '../../src/reconciler/joining.ts'

test('nobodyJoining() waits for all that are on the way into that container, and those that follow them', async () => {
  const arrivals: (() => void)[] = []
  const join = (cgroup: string): Promise<string> =>
    whileJoining(
      cgroup,
      () =>
        new Promise((resolve) => {
          arrivals.push(() => {
            resolve(cgroup)
          })
        }),
    )
  const first = join('a')
  void join('b')
  let isFree = false
  const free = nobodyJoining('a').then(() => {
    isFree = true
  })
  const second = join('a')
  arrivals[0]?.()
  expect(await first).toBe('a')
  await new Promise(setImmediate)
  expect(isFree).toBe(false)
  arrivals[2]?.()
  await Promise.all([second, free])
  expect(isFree).toBe(true)
  await nobodyJoining('of nobody')
})

test('one that fails on the way has also left it', async () => {
  await expect(whileJoining('a', () => Promise.reject(new Error('gone')))).rejects.toThrow('gone')
  await nobodyJoining('a')
})
