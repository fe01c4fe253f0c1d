/** Loading takes time in proportion to what is loaded, and hostile files are told off before they take memory. */
import { describe, expect, test } from 'vitest'
import { formatDiagnostics, SpecError } from '../../src/spec/spec-error.ts'
import { yamlDocuments } from '../../src/spec/yaml-documents.ts'
import { loadFrom } from './memory-files.ts'

const SMALL = 400
const TIMES = 8
/** Quadratic growth would be TIMES * TIMES; garbage collection and caches make linear growth a little worse than TIMES. */
const MAX_RATIO = TIMES * 3
const ROUNDS = 3

type Generator = (count: number) => string

function services(count: number, lines: (index: number) => string): string {
  return Array.from({ length: count }, (_, at) => `  s${String(at)}:\n${lines(at)}`).join('')
}

const STACKS: Readonly<Record<string, Generator>> = {
  'plain services': (count) =>
    `services:\n${services(count, (at) => `    image: a:b\n    environment:\n      A: "1"\n    ports: ["${String(at + 1)}:80"]\n    volumes: [data:/d]\n`)}volumes:\n  data:\n`,
  'services that the YAML library reads': (count) =>
    `---\nservices:\n${services(count, () => '    image: >-\n      a:b\n    environment: [A=1]\n')}`,
  'a chain of dependencies': (count) =>
    `services:\n${services(count, (at) => `    image: a\n    depends_on: [s${String(Math.max(at - 1, 0))}]\n`).replace('depends_on: [s0]', 'hostname: a')}`,
  'services that extend one': (count) =>
    `services:\n  base:\n    image: a\n    environment: [A=1]\n${services(count, () => '    extends: base\n')}`,
  'long lists': (count) => {
    const list = (item: (index: number) => string): string =>
      Array.from({ length: count }, (_, at) => `      - ${item(at)}\n`).join('')
    return `services:\n  a:\n    image: a\n    environment:\n${list((at) => `A${String(at)}=1`)}    volumes:\n${list((at) => `./a:/a${String(at)}`)}    expose:\n${list((at) => `"${String(at + 1)}"`)}`
  },
  'variables that are not set': (count) =>
    `services:\n${services(count, (at) => `    image: a\${T${String(at)}}\n`)}`,
  'undefined dependencies': (count) =>
    `services:\n${services(count, (at) => `    image: a\n    depends_on: [t${String(at)}]\n`)}`,
  'undefined volumes': (count) =>
    `services:\n${services(count, (at) => `    image: a\n    volumes: [t${String(at)}:/a]\n`)}volumes:\n${Array.from({ length: count }, (_, at) => `  v${String(at)}:\n`).join('')}`,
  'wrong attributes': (count) => `services:\n${services(count, () => '    imagge: a\n')}`,
  'keys that are there twice': (count) =>
    `services:\n${services(count, () => '    image: a\n    image: a\n')}`,
  'dependencies that lead back': (count) =>
    `services:\n${services(count, (at) => `    image: a\n    depends_on: [s0, s${String((at + 1) % count)}]\n`)}`,
  'lines that are no YAML': (count) => `services:\n${services(count, () => '\timage: "a\n')}`,
  commas: (count) => `a: [${','.repeat(count * 50)}`,
  'closing brackets': (count) => `a: b\n${'}'.repeat(count * 50)}`,
}

function costOf(text: string): number {
  let best = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now()
    try {
      loadFrom({ 'stack.yaml': text })
    } catch (error) {
      if (!(error instanceof SpecError)) throw error
      formatDiagnostics(error, () => text)
    }
    best = Math.min(best, performance.now() - begun)
  }
  return best
}

describe('loadStack() takes time in proportion', () => {
  test.each(Object.entries(STACKS))('for %s', { timeout: 120_000, retry: 2 }, (_, generate) => {
    costOf(generate(SMALL / 4)) // compiles
    const small = costOf(generate(SMALL))
    const large = costOf(generate(SMALL * TIMES))
    expect(large / small).toBeLessThan(MAX_RATIO)
  })
})

describe('loadStack() bounds what a stack may grow to', () => {
  function messageOf(files: Readonly<Record<string, string>>, env = {}): string {
    try {
      loadFrom(files, { env })
    } catch (error) {
      if (error instanceof SpecError) return error.message
      throw error
    }
    throw new Error('it was loaded')
  }

  test('by files that include each other many times', () => {
    const many = (name: string): string => `include: [${Array(20).fill(`./${name}`).join(', ')}]\n`
    const files = {
      'stack.yaml': many('b.yaml'),
      'b.yaml': many('c.yaml'),
      'c.yaml': many('d.yaml'),
      'd.yaml': many('e.yaml'),
      'e.yaml': 'services: {a: {image: b}}\n',
    }
    expect(messageOf(files)).toContain('the stack grows too large: more than 2000 files by include')
  })

  test('by services that extend a large one', () => {
    const labels = Array.from({ length: 5000 }, (_, at) => `      l${String(at)}: a\n`).join('')
    const text = `services:\n  base:\n    image: a\n    labels:\n${labels}${services(2000, () => '    extends: base\n')}`
    expect(messageOf({ 'stack.yaml': text })).toContain(
      'the stack grows too large: more than 2000000 nodes by extends and include',
    )
  })

  test('by variables', () => {
    const text = `services:\n${services(2000, () => '    image: "x${BIG}"\n')}`
    expect(messageOf({ 'stack.yaml': text }, { BIG: 'b'.repeat(100_000) })).toContain(
      'the stack grows too large: more than 64 MiB of text by variables',
    )
  })

  test('by mistakes: no message holds a whole file', () => {
    const message = messageOf({ 'stack.yaml': `services:\n  a:\n    ${'k'.repeat(500_000)}: 1\n` })
    expect(message.length).toBeLessThan(5000)
  })
})

test('yamlDocuments() keeps no more than a hundred mistakes of a document', () => {
  const { documents } = yamlDocuments(`[${','.repeat(5000)}`)
  expect(documents[0]?.errors.length).toBeGreaterThan(1)
  expect(documents[0]?.errors.length).toBeLessThanOrEqual(101)
  expect(yamlDocuments('---\na: b\n'.repeat(10_002)).refused).toBe('more than 10000 documents')
})
