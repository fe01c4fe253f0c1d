import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { planDocument, readPlan, withPositions, writePlan } from '../../src/cli/saved-plan.ts'
import { formatPlan } from '../../src/planner/format-plan.ts'
import type { Plan } from '../../src/planner/plan.ts'
import { planUp } from '../../src/planner/plan-up.ts'
import { loadSources } from '../../src/sources/load-sources.ts'
import type { LoadedStack } from '../../src/spec/loaded-stack.ts'
import { desiredState, NOTHING, simulate } from '../planner/states.ts'

const BASE = 'b'.repeat(64)
let directory: string

beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-plan-'))
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})

const YAML = `name: shop
services:
  db:
    image: db:2
    mem_limit: 512m
    volumes: [data:/data]
volumes:
  data:
networks:
  default:
    internal: true
`

/** From the same stack with another image and limit. */
async function changed(): Promise<{ plan: Plan; loaded: LoadedStack }> {
  const file = path.join(directory, 'stack.yaml')
  writeFileSync(file, YAML)
  const loaded = await loadSources({ cwd: directory, env: {}, files: [file] })
  const now = { ...desiredState({}), stack: loaded.stack }
  const db = loaded.stack.services['db']
  const before = {
    ...now,
    stack: {
      ...loaded.stack,
      services: { db: { ...db, image: 'db:1', mem_limit: '268435456' } },
      networks: { default: { name: loaded.stack.networks['default']?.name ?? '' } },
    },
  }
  const observed = simulate(planUp(before, NOTHING, {}), NOTHING, before)
  return { plan: withPositions(planUp(now, observed, {}), loaded), loaded }
}

describe('a plan with positions', () => {
  test('says where each new value is written, and marks what a service with volumes suffers', async () => {
    const { plan } = await changed()
    const text = formatPlan(plan, { directory })
    expect(text).toMatch(/image: "db:1" -> "db:2" +# forces replacement \(stack\.yaml:4\)/)
    expect(text).toMatch(/mem_limit: "256m" -> "512m" +\(stack\.yaml:5\)/)
    expect(text).toMatch(/internal: false -> true +# forces replacement \(stack\.yaml:\d+\)/)
    expect(text).toContain('! it has volumes, which stay; it does not run meanwhile')
    expect(plan.operations.map(({ kind, destructive }) => [kind, destructive])).toContainEqual([
      'remove-container',
      'stateful-replacement',
    ])
  })

  test('is as docs/plan.schema.json says', async () => {
    const schema = z.fromJSONSchema(
      JSON.parse(readFileSync('docs/plan.schema.json', 'utf8')) as z.core.JSONSchema.JSONSchema,
    )
    const { plan } = await changed()
    const document: unknown = JSON.parse(JSON.stringify(planDocument({ plan, base: BASE })))
    expect(schema.safeParse(document).error).toBeUndefined()
    const wrong = { ...planDocument({ plan, base: BASE }), operations: [{ kind: 'explode' }] }
    expect(schema.safeParse(wrong).success).toBe(false)
  })
})

describe('a saved plan', () => {
  test('is read as it was written, without logins, by its owner alone', async () => {
    const { plan, loaded } = await changed()
    const file = path.join(directory, 'plan.json')
    const { stack, files, workingDir, contents } = loaded
    const request = { stack, files, workingDir, contents, options: { noDeps: true } }
    const credentials = { registry: { username: 'u', password: 'p' } }
    writePlan(file, planDocument({ plan, base: BASE }), { ...request, credentials })
    expect(readPlan(file)).toEqual({ ...request, base: BASE })
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test.each([
    ['no JSON', 'no JSON', /Cannot read plan/],
    ['another format', '{"formatVersion":"2.0"}', /its format is "2.0"/],
    ['something else', '{}', /it is not one that "plan --out" has saved/],
    ['what --json prints', '{"formatVersion":"1.0","base":"x"}', /not complete/],
  ])('%s is refused', (_, text, message) => {
    const file = path.join(directory, 'wrong.json')
    writeFileSync(file, text)
    expect(() => readPlan(file)).toThrow(message)
  })
})
