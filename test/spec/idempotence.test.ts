/** The canonical output, loaded again, gives the same model: for stacks of every kind, and for both formats. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatConfig } from '../../src/spec/config-output.ts'
import { SpecError } from '../../src/spec/spec-error.ts'
import { loadFrom } from './memory-files.ts'

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/)
const anyText = fc.oneof(
  fc.string({ maxLength: 12, unit: 'grapheme' }),
  fc.constantFrom(
    'yes',
    '017',
    '1e3',
    'null',
    '~',
    '2001-01-01',
    '12:30',
    '$A',
    '${A:-b}',
    '# x',
    ' ',
    '- a',
    '0X1F',
    '0b1',
    '1_000',
    '+.INF',
    '\u00a0',
    'a\u2028',
    'two\nlines\n',
  ),
)
const duration = fc.constantFrom('5s', '1m30s', '1.5h', '2d', '100ms', '0s')
const size = fc.constantFrom('64m', '1.5g', '100', '2 kb')
const port = fc.integer({ min: 1, max: 65_535 })

const service = fc.record(
  {
    image: word,
    command: fc.oneof(fc.array(anyText, { maxLength: 3 }), fc.constant('run --fast now')),
    environment: fc.dictionary(
      word,
      fc.oneof(anyText, fc.integer(), fc.boolean(), fc.constant(null)),
      { maxKeys: 4 },
    ),
    labels: fc.dictionary(word, anyText, { maxKeys: 3 }),
    ports: fc.uniqueArray(
      fc.oneof(
        port.map(String),
        fc.tuple(port, port).map(([from, to]) => `${String(from)}:${String(to)}/udp`),
        fc.record({ target: port, published: port.map(String), host_ip: fc.constant('127.0.0.1') }),
      ),
      { maxLength: 3, selector: (value) => JSON.stringify(value) },
    ),
    volumes: fc.array(
      fc.oneof(
        word.map((name) => `./${name}:/${name}:ro`),
        word.map((name) => `/${name}`),
        word.map((name) => ({ type: 'tmpfs', target: `/${name}`, tmpfs: { size: '1m' } })),
      ),
      { maxLength: 3 },
    ),
    healthcheck: fc.record({
      test: fc.constantFrom('true', ['CMD', 'a b']),
      interval: duration,
      timeout: duration,
      retries: fc.nat(9),
    }),
    mem_limit: size,
    shm_size: size,
    stop_grace_period: duration,
    cpus: fc.constantFrom(0.5, '1.25', 2),
    tty: fc.boolean(),
    init: fc.boolean(),
    extra_hosts: fc.array(
      word.map((name) => `${name}:10.0.0.1`),
      { maxLength: 2 },
    ),
    ulimits: fc.constant({ nofile: { soft: 1, hard: 2 }, nproc: 5 }),
    'x-own': fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.dictionary(anyText, anyText)),
    deploy: fc.record({ replicas: fc.nat(5), labels: fc.array(word, { maxLength: 2 }) }),
  },
  { requiredKeys: ['image'] },
)

/** As a stack file: JSON is YAML; a `$` that is meant is doubled. */
function asFile(value: unknown): string {
  return JSON.stringify(value).replaceAll('$', '$$$$')
}

describe('loadStack() of what formatConfig() writes', () => {
  test.each(['yaml', 'json'] as const)('gives the same model (%s)', (format) => {
    fc.assert(
      fc.property(fc.dictionary(word, service, { minKeys: 1, maxKeys: 3 }), (services) => {
        const first = loadOrSkip(asFile({ name: 'p', services }))
        fc.pre(first !== undefined)
        const again = loadFrom(
          { 'stack.yaml': formatConfig(first, { format }) },
          { env: { A: 'set' } },
        )
        expect(again.stack).toEqual(first)
      }),
      { numRuns: 300 },
    )
  })
})

/** Generated stacks may mount two things on one target, which is refused. */
function loadOrSkip(text: string): ReturnType<typeof loadFrom>['stack'] | undefined {
  try {
    return loadFrom({ 'stack.yaml': text }, { env: { A: 'set' } }).stack
  } catch (error) {
    if (error instanceof SpecError) return undefined
    throw error
  }
}

describe('loadStack() of anything', () => {
  const ALPHABET = [
    'services',
    'web',
    'image',
    ':',
    ' ',
    '\n',
    '  ',
    '-',
    '[',
    ']',
    '{',
    '}',
    '&a',
    '*a',
    '<<',
    '!reset',
    '"',
    "'",
    '|',
    '>',
    '$',
    '${',
    '#',
    '\t',
    'x-a',
    '1',
    'null',
    ',',
    '?',
    '---',
    '%',
  ]

  test('gives a model or a SpecError', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ALPHABET), { maxLength: 40 }), (parts) => {
        try {
          loadFrom({ 'stack.yaml': parts.join('') })
        } catch (error) {
          expect(error).toBeInstanceOf(SpecError)
        }
      }),
      { numRuns: 3000 },
    )
  })

  test('gives a model or a SpecError for a file with some characters changed', () => {
    const text =
      'x-d: &d\n  restart: always\nservices:\n  web:\n    <<: *d\n    image: "a:${TAG:-1}"\n    ports: ["80:80"]\n    environment: [A=b]\n    depends_on: {db: {condition: service_started}}\n  db: {image: b}\n'
    const change = fc.tuple(fc.nat(text.length), fc.nat(3), fc.constantFrom(...ALPHABET))
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const mutated = changes.reduce(
          (before, [at, drop, add]) => before.slice(0, at) + add + before.slice(at + drop),
          text,
        )
        try {
          loadFrom({ 'stack.yaml': mutated })
        } catch (error) {
          expect(error).toBeInstanceOf(SpecError)
        }
      }),
      { numRuns: 3000 },
    )
  })
})
