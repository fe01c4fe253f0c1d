// A test that needs a running stack: brought up once, talked to, taken down.
//
//   npx vitest run --root examples/library        (as root)
import { afterAll, beforeAll, expect, test } from 'vitest'
import { down, plan, up, type RunningStack } from 'tsstack'
import definition from './stack.ts'

const START_MS = 120_000
const env = { ...process.env, WHOM: 'test' }
let stack: RunningStack

beforeAll(async () => {
  stack = await up({ stack: definition, env })
}, START_MS)

// By its definition: it goes though it may not have come up as a whole.
afterAll(() => down({ stack: definition, volumes: true }), START_MS)

test('the greeter answers', async () => {
  const address = await stack.address('greeter', 3000)
  expect(await (await fetch(`http://${address}`)).text()).toBe('hello test\n')
})

test('a program runs beside it', async () => {
  const { stdout } = await stack.exec('greeter', ['node', '-p', 'process.env.WHOM'])
  expect(stdout).toBe('test\n')
})

test('what is up is what was wanted: the plan is empty', async () => {
  const { plan: next } = await plan({ stack: definition, env })
  expect(next.operations).toEqual([])
})

test(
  'another one lives as long as its block',
  async () => {
    await using second = await up({ stack: definition, projectName: 'second-greeting' })
    expect(second.changed).toBe(true)
    expect(await second.containers()).toHaveLength(1)
  },
  START_MS,
)
