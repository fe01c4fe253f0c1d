/** Mutations of a stack file: what an editor, a bad disk, a merge conflict and an attacker make of it. */
import { basename } from 'node:path'
import type { Random } from './random.ts'

/** Bytes to bytes; `self` is the file's own name, `other` another file of the corpus. */
type Mutation = (text: Buffer, context: MutationContext) => Buffer | string

interface MutationContext {
  readonly random: Random
  readonly self: string
  readonly other: Buffer
}

const WORDS = [
  'services',
  'include',
  'extends',
  'file',
  'networks',
  'volumes',
  'secrets',
  'image',
  'build',
  'ports',
  'environment',
  'depends_on',
  'deploy',
  'healthcheck',
  '__proto__',
  'constructor',
  'toString',
  'x-tsstack',
  'null',
  '~',
  'true',
  '0x1F',
  '1e309',
  '-0',
  '.nan',
  '12:30:45',
  '2001-01-01',
  '9007199254740993',
  '<<',
  '*a',
  '&a',
  '!reset',
  '!override',
  '!!binary',
  '!!set',
  '? ',
  '- ',
  ': ',
  '| ',
  '>-',
  '---',
  '...',
  '%YAML 1.1',
  '{',
  '}',
  '[',
  ']',
  ',',
  '"',
  "'",
  '#',
  '\t',
  '\r\n',
  '\u0000',
  '\ufeff',
  '\u2028',
  '$',
  '$$',
  '${',
  '${A:-',
  '${A:?no}',
  '}',
  '../',
  '/',
  'https://127.0.0.1:1/a.git',
  'stack.ts',
]

function linesOf(text: Buffer): string[] {
  return text.toString('latin1').split('\n')
}

function fromLines(lines: readonly string[]): Buffer {
  return Buffer.from(lines.join('\n'), 'latin1')
}

const flipByte: Mutation = (text, { random }) => {
  const copy = Buffer.from(text)
  for (let left = 1 + random.int(4); left > 0 && copy.length > 0; left--) {
    const at = random.int(copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << random.int(8))
  }
  return copy
}

const cut: Mutation = (text, { random }) => {
  const from = random.int(text.length + 1)
  return random.chance(0.3)
    ? text.subarray(0, from)
    : Buffer.concat([text.subarray(0, from), text.subarray(from + random.int(30))])
}

const insertWord: Mutation = (text, { random }) => {
  const at = random.int(text.length + 1)
  return Buffer.concat([text.subarray(0, at), Buffer.from(random.pick(WORDS)), text.subarray(at)])
}

const swapLines: Mutation = (text, { random }) => {
  const lines = linesOf(text)
  const [a, b] = [random.int(lines.length), random.int(lines.length)]
  ;[lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? '']
  return fromLines(lines)
}

const repeatLines: Mutation = (text, { random }) => {
  const lines = linesOf(text)
  const from = random.int(lines.length)
  const block = lines.slice(from, from + 1 + random.int(5))
  const times = random.chance(0.05) ? 2000 : 1 + random.int(3)
  lines.splice(random.int(lines.length + 1), 0, ...Array<string[]>(times).fill(block).flat())
  return fromLines(lines)
}

const indentLine: Mutation = (text, { random }) => {
  const lines = linesOf(text)
  const at = random.int(lines.length)
  const line = lines[at] ?? ''
  lines[at] = random.chance(0.5) ? `${' '.repeat(1 + random.int(4))}${line}` : line.trimStart()
  return fromLines(lines)
}

const replaceValue: Mutation = (text, { random }) => {
  const lines = linesOf(text)
  const at = random.int(lines.length)
  lines[at] = (lines[at] ?? '').replace(
    /(: |- ).*$/,
    `$1${random.pick(WORDS).replaceAll('$', '$$$$')}`,
  )
  return fromLines(lines)
}

const splice: Mutation = (text, { random, other }) => {
  const from = random.int(other.length + 1)
  const part = other.subarray(from, from + random.int(400))
  const at = random.int(text.length + 1)
  return Buffer.concat([text.subarray(0, at), part, text.subarray(at + random.int(50))])
}

const appendOther: Mutation = (text, { random, other }) =>
  Buffer.concat([text, Buffer.from(random.chance(0.5) ? '\n---\n' : '\n'), other])

const GENTLE: readonly Mutation[] = [
  flipByte,
  cut,
  insertWord,
  swapLines,
  repeatLines,
  indentLine,
  replaceValue,
  splice,
  appendOther,
]

/** Doubles with each line. */
const aliasBomb: Mutation = (text, { random }) => {
  const width = 2 + random.int(9)
  const depth = 3 + random.int(20)
  const lines = ['x-b0: &b0 [a, b]']
  for (let level = 1; level < depth; level++) {
    const aliases = Array<string>(width).fill(`*b${String(level - 1)}`)
    lines.push(`x-b${String(level)}: &b${String(level)} [${aliases.join(', ')}]`)
  }
  return Buffer.concat([text, Buffer.from(`\n${lines.join('\n')}\n`)])
}

const deepNesting: Mutation = (text, { random }) => {
  const depth = random.pick([30, 100, 250, 3000, 50_000])
  const [open, close] = random.pick([
    ['[', ']'],
    ['{a: ', '}'],
    ['- ', ''],
    ['? ', ''],
  ] as const)
  const nested = `x-deep: ${open === '- ' ? '\n  ' : ''}${open.repeat(depth)}${close.repeat(depth)}\n`
  return random.chance(0.5)
    ? Buffer.concat([Buffer.from(nested), text])
    : Buffer.concat([text, Buffer.from(`\n${nested}`)])
}

const hugeScalar: Mutation = (text, { random }) => {
  const unit = random.pick([
    'a',
    ' ',
    '\n',
    '$',
    '${',
    '${A}',
    ':',
    '- ',
    '"',
    "''",
    '\\',
    '#',
    '&a ',
    '}',
    '1',
    ': ',
  ])
  const huge = unit.repeat(Math.ceil(random.pick([5000, 50_000, 300_000]) / unit.length))
  const at = random.int(text.length + 1)
  return Buffer.concat([text.subarray(0, at), Buffer.from(huge), text.subarray(at)])
}

const cyclicExtends: Mutation = (text, { random, self }) => {
  const count = random.pick([1, 2, 5, 300])
  const services = Array.from({ length: count }, (_, index) => {
    const next = `z${String((index + 1) % count)}`
    const file = random.chance(0.5) ? `, file: ${self}` : ''
    return `  z${String(index)}: {image: a, extends: {service: ${next}${file}}}`
  })
  return Buffer.concat([text, Buffer.from(`\n---\nservices:\n${services.join('\n')}\n`)])
}

const cyclicInclude: Mutation = (text, { random, self }) => {
  const entries = Array<string>(random.pick([1, 3, 50])).fill(`  - ${self}`)
  return Buffer.concat([Buffer.from(`include:\n${entries.join('\n')}\n`), text])
}

/** Services that each extend the one before, with twice the list. */
const extendsBomb: Mutation = (text, { random }) => {
  const count = 5 + random.int(40)
  const services = Array.from({ length: count }, (_, index) => {
    const items = Array.from({ length: 200 }, (__, item) => `k${String(item)}: v`).join(', ')
    const base = index === 0 ? '' : `, extends: {service: y${String(index - 1)}}`
    return `  y${String(index)}: {image: a, labels: {${items}}${base}}`
  })
  return Buffer.concat([text, Buffer.from(`\n---\nservices:\n${services.join('\n')}\n`)])
}

const variableBomb: Mutation = (text, { random }) => {
  const depth = 5 + random.int(40)
  const nested = `${'${A:-'.repeat(depth)}x${'}'.repeat(depth)}`
  const many = '${BIG}'.repeat(1 + random.int(200))
  const services = Array.from(
    { length: 50 },
    (_, index) => `  v${String(index)}: {image: "${many}", command: "${nested}"}`,
  )
  return Buffer.concat([text, Buffer.from(`\n---\nservices:\n${services.join('\n')}\n`)])
}

const HARSH: readonly Mutation[] = [
  aliasBomb,
  deepNesting,
  hugeScalar,
  cyclicExtends,
  cyclicInclude,
  extendsBomb,
  variableBomb,
]
const HARSH_SHARE = 0.05
/** Above it there is nothing new to find, and the run is to end. */
const MAX_BYTES = 1 << 20

/** A file after one mutation or several. */
export function mutate(
  text: Buffer,
  context: { readonly random: Random; readonly file: string; readonly other: Buffer },
): Buffer {
  const { random, other } = context
  const inner = { random, other, self: basename(context.file) }
  let mutated = text
  for (let left = random.chance(0.5) ? 1 : 1 + random.int(4); left > 0; left--) {
    const mutation = random.pick(random.chance(HARSH_SHARE) ? HARSH : GENTLE)
    const next = mutation(mutated, inner)
    mutated = typeof next === 'string' ? Buffer.from(next) : next
    if (mutated.length > MAX_BYTES) mutated = mutated.subarray(0, MAX_BYTES)
  }
  return mutated
}
