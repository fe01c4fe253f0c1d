/** The types of a stack: what they take and what they refuse. `tsc` is the judge; a wrong expectation is its error. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { defineStack, loadStack, type StackDefinition } from '../../src/index.ts'

const typed: StackDefinition = defineStack({
  name: 'typed',
  'x-own': { anything: [1] },
  services: {
    web: {
      image: 'a',
      command: ['sh', '-c', 'true'],
      ports: ['80:80', 8080, { target: 443, published: '8443', 'x-why': 'tls' }],
      depends_on: { db: { condition: 'service_healthy', required: false } },
      deploy: { replicas: 2, resources: { limits: { cpus: 0.5 } } },
      'x-tsstack': { probe: { http: 'http://:80/' } },
      hostname: undefined,
    },
    db: { image: 'b', environment: { A: 1, B: null, C: true }, 'x-any': true },
  },
  volumes: { data: null },
} as const)

test('defineStack() gives its argument, which loads as YAML would', async () => {
  const { stack, files } = await loadStack({ stack: typed, cwd: '/tmp', env: {} })
  expect(stack.name).toBe('typed')
  expect(stack.services['web']?.command).toEqual(['sh', '-c', 'true'])
  expect(stack.services['db']?.environment).toEqual({ A: '1', B: null, C: 'true' })
  expect(files).toEqual(['/tmp/stack-value.ts'])
})

test('loadStack() evaluates a stack.ts in the process that asks for it, a test runner too', async () => {
  const cwd = join(import.meta.dirname, '../../examples/library')
  const { stack, warnings } = await loadStack({ cwd, env: { WHOM: 'you' } })
  expect(stack.name).toBe('greeting')
  expect(stack.services['greeter']?.environment).toEqual({ WHOM: 'you' })
  expect(warnings).toEqual([])
})

test('defineStack() refuses what the schema refuses', () => {
  // @ts-expect-error an attribute that there is not
  defineStack({ services: { web: { imagge: 'a' } } })
  // @ts-expect-error a condition that there is not
  defineStack({ services: { web: { depends_on: { db: { condition: 'service_helthy' } } } } })
  // @ts-expect-error services are a map
  defineStack({ services: [] })
  // @ts-expect-error a probe that there is not
  defineStack({ services: { web: { image: 'a', 'x-tsstack': { probe: { htp: 'a' } } } } })
  expect(defineStack({})).toEqual({})
})
