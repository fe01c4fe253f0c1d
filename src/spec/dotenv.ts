/**
 * Environment files (`.env`, `--env-file`, `env_file`, `label_file`), the grammar of Compose: `KEY=VAL` or `KEY: VAL`,
 * `export`, comments, single quotes (literal), double quotes (escapes, then interpolation), values over several lines.
 * And `format: raw`, where the value is what stands after the `=`.
 */
import type { Lookup } from './source.ts'
import { TemplateError, substitute } from './template.ts'

/** A line of an environment file that cannot be read; `line` from 1. */
export class DotenvError extends Error {
  readonly line: number
  readonly offset: number

  constructor(line: number, offset: number, message: string) {
    super(`line ${String(line)}: ${message}`)
    this.line = line
    this.offset = offset
  }
}

const BLANK = /[ \t\v\f\r\u0085\u00a0]/
const NAME_CHARACTER = /[\p{L}\p{N}_.\-[\]]/u
const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  '\\': '\\',
  // The template turns `$$` into a dollar that begins no variable.
  $: '$$',
}

interface Cursor {
  readonly text: string
  at: number
  readonly values: Map<string, string>
  readonly lookup: Lookup
}

/**
 * The variables of a file. Variables in values are looked for in `lookup` first, then among the file's earlier ones.
 * @throws {DotenvError} with the line
 */
export function parseDotenv(source: string, lookup: Lookup): Map<string, string> {
  const text = source.replace(/^\ufeff/, '').replaceAll('\r\n', '\n')
  const values = new Map<string, string>()
  const own: Lookup = (name) => lookup(name) ?? values.get(name)
  const cursor: Cursor = { text, at: 0, values, lookup: own }
  while (skipToStatement(cursor)) {
    const start = cursor.at
    const { name, hasValue } = readName(cursor)
    if (name === '')
      throw failure(cursor, start, 'unexpected character in variable name: it has no name')
    const value = hasValue ? readValue(cursor) : lookup(name)
    if (value !== undefined) values.set(name, value)
  }
  return values
}

/**
 * The variables of a file with `format: raw`: as `docker run --env-file` reads it.
 * @throws {DotenvError} when a name has a blank
 */
export function parseRawEnvironment(source: string, lookup: Lookup): Map<string, string> {
  const values = new Map<string, string>()
  const lines = source.replace(/^\ufeff/, '').split('\n')
  for (const [index, untrimmed] of lines.entries()) {
    const line = untrimmed.replace(/^[ \t\v\f\r]+/, '').replace(/\r$/, '')
    if (line === '' || line.startsWith('#')) continue
    const equals = line.indexOf('=')
    const name = equals === -1 ? line : line.slice(0, equals)
    if (name === '') throw new DotenvError(index + 1, 0, 'no variable name')
    if (/\s/.test(name))
      throw new DotenvError(index + 1, 0, `variable "${name}" contains whitespaces`)
    const value = equals === -1 ? lookup(name) : line.slice(equals + 1)
    if (value !== undefined) values.set(name, value)
  }
  return values
}

function failure(cursor: Cursor, at: number, message: string): DotenvError {
  let line = 1
  for (let end = cursor.text.indexOf('\n'); end !== -1 && end < at; line++) {
    end = cursor.text.indexOf('\n', end + 1)
  }
  return new DotenvError(line, at, message)
}

/** Moves over blanks and comments; false at the end. */
function skipToStatement(cursor: Cursor): boolean {
  const { text } = cursor
  while (cursor.at < text.length) {
    const char = text.charAt(cursor.at)
    if (char === '#') {
      const end = text.indexOf('\n', cursor.at)
      cursor.at = end === -1 ? text.length : end + 1
    } else if (char === '\n' || BLANK.test(char) || /\s/.test(char)) cursor.at++
    else return true
  }
  return false
}

function readName(cursor: Cursor): { name: string; hasValue: boolean } {
  const { text } = cursor
  const exported = /export[ \t]+(?=[^=\s])/y
  exported.lastIndex = cursor.at
  if (exported.test(text)) cursor.at = exported.lastIndex
  const start = cursor.at
  let end = start
  while (end < text.length) {
    const char = text.charAt(end)
    if (char === '=' || char === ':' || char === '\n') break
    const wide = String.fromCodePoint(text.codePointAt(end) ?? 0)
    if (!BLANK.test(char) && !NAME_CHARACTER.test(wide)) {
      const shown = (text.slice(start).split('\n', 1)[0] ?? '').slice(0, 40)
      throw failure(cursor, end, `unexpected character "${wide}" in variable name "${shown}"`)
    }
    end += wide.length
  }
  const name = text.slice(start, end).trim()
  if (/\s/.test(name)) throw failure(cursor, start, `key "${name}" cannot contain a space`)
  const hasValue = end < text.length && text[end] !== '\n'
  cursor.at = end + 1
  return { name, hasValue }
}

function readValue(cursor: Cursor): string {
  const { text } = cursor
  while (BLANK.test(text.charAt(cursor.at)) && cursor.at < text.length) cursor.at++
  const quote = text.charAt(cursor.at)
  if (quote === '"' || quote === "'") return readQuoted(cursor, quote)
  const newline = text.indexOf('\n', cursor.at)
  const end = newline === -1 ? text.length : newline
  const start = cursor.at
  const line = text.slice(start, end)
  const comment = line.indexOf(' #')
  cursor.at = end
  return interpolate(cursor, start, (comment === -1 ? line : line.slice(0, comment)).trim())
}

function readQuoted(cursor: Cursor, quote: '"' | "'"): string {
  const { text } = cursor
  const start = cursor.at
  let end = start + 1
  while (end < text.length && text[end] !== quote) end += text[end] === '\\' ? 2 : 1
  if (end >= text.length) {
    const shown = text.slice(start).split('\n', 1)[0] ?? ''
    throw failure(cursor, start, `unterminated quoted value ${shown}`)
  }
  const body = text.slice(start + 1, end)
  cursor.at = end + 1
  if (quote === "'") return body.replaceAll("\\'", "'")
  return interpolate(cursor, start, unescape(body))
}

function unescape(body: string): string {
  return body.replace(
    /\\(?:([abfnrtv$"\\])|0(\d{1,3}))/g,
    (match, letter?: string, octal?: string) => {
      if (letter !== undefined) return ESCAPES[letter] ?? match
      return String.fromCharCode(parseInt(octal ?? '0', 8))
    },
  )
}

function interpolate(cursor: Cursor, at: number, value: string): string {
  try {
    return substitute(value, cursor.lookup)
  } catch (error) {
    if (error instanceof TemplateError) throw failure(cursor, at, error.message)
    throw error
  }
}
