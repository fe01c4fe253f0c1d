/** What is wrong with a stack file: all of it at once, each with its place, what was expected, and what to write. */
import { TsstackError } from '../errors.ts'
import type { FetchFailure } from './fetched.ts'
import { formatPath } from './node.ts'
import type { Path, Place } from './node.ts'
import { positionOf } from './source.ts'

export interface Diagnostic {
  readonly message: string
  /** Absolute path, or `-` for standard input. */
  readonly file?: string
  /** From 1; line and column are absent when the file is a program, whose values have none. */
  readonly line?: number
  /** From 1, in UTF-16 units. */
  readonly column?: number
  /** `services.web.ports[0]`. */
  readonly path?: string
  /** What may stand there: a noun phrase. */
  readonly expected?: string
  /** What to write instead, or what to do. */
  readonly suggestion?: string
  /** How the file came in, innermost first: the `include` or `extends` that named it. */
  readonly origin?: readonly DiagnosticOrigin[]
}

export interface DiagnosticOrigin {
  /** `merged`: the value that this one was to be merged over. */
  readonly verb: 'included' | 'extended' | 'merged'
  readonly file: string
  /** Line and column, or else the path in the value of a program. */
  readonly line?: number
  readonly column?: number
  readonly path?: string
}

/** Loading a stack file failed; `diagnostics` says all of it. */
export class SpecError extends TsstackError {
  readonly diagnostics: readonly Diagnostic[]

  constructor(diagnostics: readonly Diagnostic[], cause?: unknown) {
    const lines = diagnostics.map(summaryOf)
    super('INVALID_ARGUMENT', lines.join('\n'), cause === undefined ? {} : { cause })
    this.diagnostics = diagnostics
  }
}

export interface DiagnosticDetails {
  /** What the value is merged over. */
  readonly over?: Place | undefined
  readonly path?: Path | undefined
  readonly expected?: string | undefined
  readonly suggestion?: string | undefined
}

const MAX_ORIGINS = 20

/** A diagnostic at a place; without one when it is about no text (no stack file, project name). */
export function diagnosticAt(
  place: Place | undefined,
  message: string,
  details: DiagnosticDetails = {},
): Diagnostic {
  const { over, path, expected, suggestion } = details
  return {
    message: shorten(message),
    ...(place === undefined ? {} : placeFields(place, over)),
    ...(path === undefined || path.length === 0 ? {} : { path: shorten(formatPath(path)) }),
    ...(expected === undefined ? {} : { expected: shorten(expected) }),
    ...(suggestion === undefined ? {} : { suggestion: shorten(suggestion) }),
  }
}

const MAX_TEXT = 1000
const TEXT_END = 200

/** What a person reads of a text that has a whole file in it: its beginning and its end. */
function shorten(text: string): string {
  if (text.length <= MAX_TEXT) return text
  return `${text.slice(0, MAX_TEXT - TEXT_END)} … ${text.slice(-TEXT_END)}`
}

function placeFields(place: Place, over: Place | undefined): Partial<Diagnostic> {
  const origin: DiagnosticOrigin[] = []
  if (over !== undefined) origin.push({ verb: 'merged', file: over.source.file, ...pointOf(over) })
  for (let at = place.source.origin; at !== undefined; at = at.source.origin) {
    if (origin.length === MAX_ORIGINS) break
    origin.push({ verb: at.verb, file: at.source.file, ...pointOf(at) })
  }
  return {
    file: place.source.file,
    ...pointOf(place),
    ...(origin.length === 0 ? {} : { origin }),
  }
}

/** Line and column in a text; the path in a value. */
function pointOf({ source, offset }: Place): Pick<Diagnostic, 'line' | 'column' | 'path'> {
  if (source.paths === undefined) return positionOf(source, offset)
  const path = source.paths[offset] ?? []
  return path.length === 0 ? {} : { path: shorten(formatPath(path)) }
}

/** A file that can't be had. */
export function diagnosticOfFile(file: string, failure: FetchFailure): Diagnostic {
  const { problem, suggestion, line, column } = failure
  return {
    message: problem,
    file,
    ...(line === undefined ? {} : { line, column: column ?? 1 }),
    ...(suggestion === undefined ? {} : { suggestion }),
  }
}

/** `file:line:column`, as far as there is one. */
function pointText({ file, line, column }: Pick<Diagnostic, 'file' | 'line' | 'column'>): string {
  if (file === undefined || line === undefined) return file ?? ''
  return `${file}:${String(line)}:${String(column ?? 1)}`
}

/** One line: `file:line:column: path: message (expected …; did you mean …)`. */
export function summaryOf(diagnostic: Diagnostic): string {
  const { file, path, message } = diagnostic
  const where = file === undefined ? '' : `${pointText(diagnostic)}: `
  const isNamed = path === undefined || message.includes(path) || startsWithin(path, message)
  const at = isNamed ? '' : `${path}: `
  return `${where}${at}${message}`
}

/** A message that begins with `services.web:` already says where it is. */
function startsWithin(path: string, message: string): boolean {
  const start = message.slice(0, message.indexOf(':'))
  return (
    start !== '' && (path === start || path.startsWith(`${start}.`) || path.startsWith(`${start}[`))
  )
}

const MAX_LINE = 160
const TAB = /\t/g

/**
 * The errors as people read them: place, message, the offending line with a caret, what was expected, what to do.
 * Pure: `readSource` gives the text of a file, or undefined when it is gone.
 */
export function formatDiagnostics(
  error: SpecError,
  readSource: (file: string) => string | undefined,
): string {
  return error.diagnostics.map((one) => formatDiagnostic(one, readSource)).join('\n\n')
}

function formatDiagnostic(
  diagnostic: Diagnostic,
  readSource: (file: string) => string | undefined,
): string {
  const { file, line, column, expected, suggestion, origin } = diagnostic
  const lines = [summaryOf(diagnostic)]
  if (file !== undefined && line !== undefined && column !== undefined) {
    lines.push(...excerpt(readSource(file), line, column))
  }
  if (expected !== undefined) lines.push(`  expected: ${expected}`)
  if (suggestion !== undefined) lines.push(`  help: ${suggestion}`)
  for (const from of origin ?? []) {
    const at = from.path === undefined ? '' : ` at ${from.path}`
    const word = from.verb === 'merged' ? 'over' : 'from'
    lines.push(`  ${from.verb} ${word} ${pointText(from)}${at}`)
  }
  return lines.join('\n')
}

function excerpt(text: string | undefined, line: number, column: number): string[] {
  const content = text?.split('\n', line)[line - 1]?.replace(/\r$/, '')
  if (content === undefined) return []
  const number = String(line)
  const from = column > MAX_LINE ? column - MAX_LINE / 2 : 0
  const shown = content.slice(from, from + MAX_LINE)
  const before = shown.slice(0, column - 1 - from).replace(TAB, '  ')
  return [
    `  ${number} | ${shown.replace(TAB, '  ')}`,
    `  ${' '.repeat(number.length)} | ${' '.repeat(before.length)}^`,
  ]
}
