import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createBatcher } from '../../src/watch/batcher.ts'
import { eventually } from '../eventually.ts'

function recording(quietMs: number, capMs: number, flushMs = 0) {
  const flushed: (readonly string[])[] = []
  const settled: (readonly string[])[] = []
  const batcher = createBatcher({
    quietMs,
    capMs,
    flush: async (paths) => {
      flushed.push(paths)
      await setTimeout(flushMs)
    },
    settle: (paths) => {
      settled.push(paths)
      return Promise.resolve()
    },
  })
  return { batcher, flushed, settled }
}

test('the first of a burst is passed on at once, the rest together, and the end comes once', async () => {
  const { batcher, flushed, settled } = recording(50, 10_000, 5)
  batcher.push('a')
  await Promise.resolve()
  expect(flushed).toEqual([['a']])
  for (const path of ['b', 'c', 'b']) batcher.push(path)
  await eventually('the end', () => settled.length > 0)
  expect(flushed).toEqual([['a'], ['b', 'c']])
  expect(settled).toEqual([['a', 'b', 'c']])
  await batcher.close()
})

test('a burst without an end is ended', async () => {
  const { batcher, settled } = recording(10_000, 30)
  await eventually('the cap', () => {
    batcher.push('a')
    return settled.length >= 2
  })
  await batcher.close()
})

test('after close nothing is passed on', async () => {
  const { batcher, flushed, settled } = recording(1, 1)
  batcher.push('a')
  await batcher.close()
  batcher.push('b')
  await setTimeout(10)
  expect([...flushed, ...settled].flat()).not.toContain('b')
  expect(settled).toEqual([])
})
