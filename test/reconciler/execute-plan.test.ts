import { expect, test } from 'vitest'
import type { Operation, Plan } from '../../src/planner/plan.ts'
import { executePlan } from '../../src/reconciler/execute-plan.ts'

function start(id: number, ...dependsOn: number[]): Operation {
  return { id, dependsOn, cause: 'test', kind: 'start-container', service: 's', container: 'c' }
}

function wait(id: number, required: boolean, ...dependsOn: number[]): Operation {
  const condition = 'service_started'
  return {
    id,
    dependsOn,
    cause: 'test',
    kind: 'wait-for-service',
    service: 's',
    condition,
    required,
  }
}

/** Runs a plan, of which some operations fail. @returns what was done, in its order, and how many at once */
async function run(
  operations: readonly Operation[],
  { bad = [], concurrency = 8 }: { bad?: readonly number[]; concurrency?: number } = {},
): Promise<{ done: number[]; most: number; error: unknown }> {
  const plan: Plan = { stack: 'shop', operations, warnings: [] }
  const done: number[] = []
  let busy = 0
  let most = 0
  const drive = async ({ id }: Operation): Promise<object> => {
    busy++
    most = Math.max(most, busy)
    await new Promise((resolve) => setImmediate(resolve))
    busy--
    done.push(id)
    if (bad.includes(id)) throw new Error(`${String(id)} is bad`)
    return {}
  }
  const options = { drive, progress: () => undefined, concurrency }
  const error: unknown = await executePlan(plan, options).catch((reason: unknown) => reason)
  return { done, most, error }
}

test('each after what it depends on, others side by side, and no more than so many at once', async () => {
  const diamond = [start(1), start(2, 1), start(3, 1), start(4, 2, 3)]
  expect(await run(diamond)).toEqual({ done: [1, 2, 3, 4], most: 2, error: undefined })
  const many = Array.from({ length: 20 }, (_, index) => start(index + 1))
  expect((await run(many, { concurrency: 3 })).most).toBe(3)
  expect(await run([])).toEqual({ done: [], most: 0, error: undefined })
})

test('what only waits takes the place of nobody', async () => {
  const plan = [wait(1, true), wait(2, true), start(3)]
  expect((await run(plan, { concurrency: 1 })).most).toBe(3)
})

test('a failure stops what comes after it, and nothing else; the first one is told', async () => {
  const plan = [start(1), start(2, 1), start(3, 2), start(4), start(5, 4, 3), start(6, 4)]
  const { done, error } = await run(plan, { bad: [1, 6] })
  expect(done).toEqual([1, 4, 6])
  expect(error).toMatchObject({ message: '1 is bad' })
})

test('an optional wait goes on though what it waits for has failed, a required one does not', async () => {
  const plan = (required: boolean): Operation[] => [start(1), wait(2, required, 1), start(3, 2)]
  expect((await run(plan(false), { bad: [1] })).done).toEqual([1, 2, 3])
  expect((await run(plan(true), { bad: [1] })).done).toEqual([1])
})

test('takes time in proportion to the operations', { retry: 2 }, async () => {
  /** One that all others come after, and one that comes after all. */
  const wide = (count: number): Operation[] => {
    const middle = Array.from({ length: count }, (_, index) => start(index + 2, 1))
    return [start(1), ...middle, start(count + 2, ...middle.map(({ id }) => id))]
  }
  const timeOf = async (count: number): Promise<number> => {
    const operations = wide(count)
    const begin = performance.now()
    await run(operations, { concurrency: count })
    return performance.now() - begin
  }
  // The shortest of each: what else the machine does makes no round shorter.
  const least = { few: Infinity, many: Infinity }
  for (let round = 0; round < 5; round++) {
    least.few = Math.min(least.few, await timeOf(1000))
    least.many = Math.min(least.many, await timeOf(10_000))
  }
  expect(least.many / least.few).toBeLessThan(40) // ten times as many; their square would be a hundred
})
