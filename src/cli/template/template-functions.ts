/** The functions of `--format` templates: Docker's (docs.docker.com/engine/cli/formatting) and the plain ones of Go. Pure. */
import { TsstackError } from '../../errors.ts'

export type TemplateFunction = (...values: readonly unknown[]) => unknown

/** As Go prints a value: lists as `[a b]`, maps as `map[a:1 b:2]`. */
export function goText(value: unknown): string {
  if (value === undefined || value === null) return '<no value>'
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value !== 'object') return '<no value>'
  const pairs = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `map[${pairs.map(([key, item]) => `${key}:${goText(item)}`).join(' ')}]`
}

/** Whether `if` takes it: not false, 0, empty or missing. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function title(text: string): string {
  return text.replaceAll(/\b\p{L}/gu, (letter) => letter.toUpperCase())
}

/** The verbs %s %v %d %q; others stay as they are. */
function printf(format: unknown, ...values: readonly unknown[]): string {
  let next = 0
  return goText(format).replaceAll(/%([svdq%])/g, (_, verb: string) => {
    if (verb === '%') return '%'
    const text = goText(values[next])
    next += 1
    return verb === 'q' ? JSON.stringify(text) : text
  })
}

/** Go's: entry of a list or a map; several keys go deeper. */
function index(value: unknown, ...keys: readonly unknown[]): unknown {
  let found = value
  for (const key of keys) {
    const name = goText(key)
    const holder = typeof found === 'object' && found !== null ? found : {}
    found = Object.hasOwn(holder, name) ? (holder as Record<string, unknown>)[name] : ''
  }
  return found
}

export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: (value) => JSON.stringify(value),
  join: (values, separator) => list(values).map(goText).join(goText(separator)),
  split: (text, separator) => goText(text).split(goText(separator)),
  upper: (text) => goText(text).toUpperCase(),
  lower: (text) => goText(text).toLowerCase(),
  title: (text) => title(goText(text)),
  pad: (text, before, after) =>
    text === '' ? '' : `${' '.repeat(Number(before))}${goText(text)}${' '.repeat(Number(after))}`,
  truncate: (text, length) => Array.from(goText(text)).slice(0, Number(length)).join(''),
  print: (...values) => values.map(goText).join(' '),
  println: (...values) => `${values.map(goText).join(' ')}\n`,
  printf,
  len: (value) =>
    typeof value === 'string' ? Buffer.byteLength(value) : Object.keys(value ?? {}).length,
  index,
  eq: (first, ...others) => others.some((other) => goText(other) === goText(first)),
  ne: (first, second) => goText(first) !== goText(second),
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
}

/** For the header of a table, where fields are their titles: these leave a title as it is, as Docker's do. */
export const HEADER_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  ...FUNCTIONS,
  ...Object.fromEntries(
    ['json', 'join', 'split', 'upper', 'lower', 'title', 'pad', 'truncate'].map((name) => [
      name,
      (value: unknown) => value,
    ]),
  ),
}

/** @throws {INVALID_ARGUMENT} for a function that is none of these */
export function functionNamed(
  name: string,
  functions: Readonly<Record<string, TemplateFunction>>,
): TemplateFunction {
  const found = Object.hasOwn(functions, name) ? functions[name] : undefined
  if (found !== undefined) return found
  throw new TsstackError('INVALID_ARGUMENT', `Cannot use "${name}" in --format: no such function`, {
    hint: `functions: ${Object.keys(functions).join(', ')}`,
  })
}
