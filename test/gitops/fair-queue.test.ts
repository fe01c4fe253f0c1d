import { expect, test } from 'vitest'
import { FairQueue } from '../../src/gitops/fair-queue.ts'

test('FairQueue does so much at a time, in the order in which it came, whatever fails', async () => {
  const queue = new FairQueue(2)
  const begun: number[] = []
  let [busy, most] = [0, 0]
  const work = (number: number): Promise<number> =>
    queue.run(async () => {
      begun.push(number)
      most = Math.max(most, ++busy)
      await new Promise((resolve) => setImmediate(resolve))
      busy--
      if (number % 3 === 0) throw new Error('no')
      return number
    })
  const numbers = Array.from({ length: 20 }, (_, index) => index)
  const done = await Promise.allSettled(numbers.map(work))
  expect(begun).toEqual(numbers)
  expect(most).toBe(2)
  expect(done.filter(({ status }) => status === 'rejected')).toHaveLength(7)
  expect(await work(1)).toBe(1)
})
