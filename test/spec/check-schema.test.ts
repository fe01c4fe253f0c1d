/** The validator that reads stack.schema.json says the same as the zod schema that it is generated from. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { safeParse } from 'zod/mini'
import { checkSchema } from '../../src/spec/check-schema.ts'
import { collectDiagnostics } from '../../src/spec/diagnostics.ts'
import { toPlain } from '../../src/spec/node.ts'
import type { MapNode } from '../../src/spec/node.ts'
import { parseSource } from '../../src/spec/parse.ts'
import { stackFileSchema } from '../../src/spec/schema.ts'
import { SpecError } from '../../src/spec/spec-error.ts'

function parse(text: string): MapNode {
  const source = { file: '/stack.yaml', text, directory: '/', lookup: () => undefined }
  const [root] = parseSource(source, collectDiagnostics())
  if (root?.kind !== 'map') throw new Error('no map')
  return root
}

function isAccepted(root: MapNode): boolean {
  const diagnostics = collectDiagnostics()
  checkSchema(root, diagnostics)
  try {
    diagnostics.throwIfAny()
    return true
  } catch (error) {
    expect(error).toBeInstanceOf(SpecError)
    return false
  }
}

const SAMPLES: readonly unknown[] = [
  'text',
  '',
  5,
  -1,
  0.5,
  101,
  true,
  null,
  [],
  {},
  ['a', 'b'],
  ['a', 'a'],
  [1],
  [null],
  { a: 'b' },
  { a: null },
  { a: { b: 'c' } },
  [{ source: 'a', target: 'b' }],
  [{ type: 'bind', source: 'a', target: 'b' }],
  { condition: 'service_started' },
  { db: { condition: 'service_healthy' } },
  { db: {} },
  { test: ['CMD', 'x'], retries: 3 },
  { nofile: { soft: 1, hard: 2 } },
  { nofile: { soft: 1 } },
  { NoFile: 5 },
  'all',
  'host',
  'always',
  [{ capabilities: ['gpu'], count: 'all' }],
  { context: '.', args: ['A=b'] },
  { watch: [{ path: '.', action: 'sync' }] },
  { watch: [{ path: '.', action: 'dance' }] },
  { resources: { limits: { cpus: '1', memory: '1g' } } },
  { probe: { tcp: 80 } },
]

const shape = stackFileSchema._zod.def.shape
const SECTIONS = Object.keys(shape)
const ATTRIBUTES = Object.keys(shape.services._zod.def.innerType._zod.def.valueType._zod.def.shape)

test.each(ATTRIBUTES)('checkSchema() accepts for services.web.%s what zod accepts', (attribute) => {
  for (const value of SAMPLES) {
    const root = parse(JSON.stringify({ services: { web: { [attribute]: value } } }))
    const { success } = safeParse(stackFileSchema, toPlain(root))
    expect({ value, accepted: isAccepted(root) }).toEqual({ value, accepted: success })
  }
})

test('checkSchema() accepts at the top level what zod accepts', () => {
  const file = fc.dictionary(fc.constantFrom(...SECTIONS, 'typo'), fc.constantFrom(...SAMPLES), {
    maxKeys: 3,
  })
  fc.assert(
    fc.property(file, (value) => {
      const root = parse(JSON.stringify(value))
      expect(isAccepted(root)).toBe(safeParse(stackFileSchema, toPlain(root)).success)
    }),
  )
})
