/** The text of a plan: what `tsstack plan` prints, and what golden tests compare. */
import { downtimeOf } from './downtime.ts'
import { fieldClass } from './field-classes.ts'
import type { FilePosition } from '../spec/loaded-stack.ts'
import type { Hazard, Operation, Plan } from './plan.ts'
import { toRows, type Row, type Verb } from './plan-rows.ts'

export interface FormatOptions {
  /** ANSI colours. @default {false} */
  readonly color?: boolean
  /** Positions in files are shown from here where they are below it. Absolute. */
  readonly directory?: string
}

const MARKS: Readonly<Record<Verb, string>> = {
  create: '+',
  update: '~',
  replace: '-/+',
  roll: '-/+',
  remove: '-',
  start: '>',
  stop: '.',
  restart: '<>',
  wait: '?',
}

/** SGR codes: green, yellow, magenta, red, cyan, grey. */
const COLORS: Readonly<Record<Verb, string>> = {
  create: '32',
  update: '33',
  replace: '35',
  roll: '35',
  remove: '31',
  start: '36',
  stop: '31',
  restart: '36',
  wait: '90',
}

const CHANGING: ReadonlySet<Verb> = new Set(['create', 'update', 'replace', 'roll', 'remove'])

/** Done to what may run. */
const DISTURBING: ReadonlySet<Verb> = new Set(['update', 'replace', 'roll', 'restart'])

const WIDTH = 80
const MAX_VALUE = 200
const INDENT = ' '.repeat(8)

/** How rows become lines. */
interface Layout {
  readonly nameWidth: number
  readonly paint: Paint
  readonly placeOf: (position: FilePosition) => string
}

const HAZARD_TEXT: Readonly<Record<Hazard, string>> = {
  'data-loss': '! the data in it is lost',
  'stateful-replacement': '! it has volumes, which stay; it does not run meanwhile',
}

/**
 * One row for each resource: `+` create, `~` update in place, `-/+` replace or roll (replace some at a time), `-` remove, `>` start, `.` stop, `<>` restart,
 * `?` wait; its cause; its changed fields. Then warnings, then a line with the totals, and one
 * with what does not run meanwhile. At most 80 columns wide where names
 * and values are short. Control characters are escaped. Ends without a newline.
 */
export function formatPlan(plan: Plan, options: FormatOptions = {}): string {
  const paint = options.color
    ? (code: string, text: string): string => `\u001b[${code}m${text}\u001b[0m`
    : (_code: string, text: string): string => text
  const rows = toRows(plan.operations)
  const layout: Layout = {
    nameWidth: Math.min(32, Math.max(0, ...rows.map(({ name }) => name.length))),
    paint,
    placeOf: ({ file, line }) => `${shortPath(file, options.directory)}:${String(line)}`,
  }
  const lines = rows.flatMap((row) => rowLines(row, layout))
  const warnings = plan.warnings.flatMap((text) =>
    wrap(`Warning: ${printable(text)}`, ' '.repeat('Warning: '.length)).map((line) =>
      paint('33', line),
    ),
  )
  const sections = [
    lines,
    warnings,
    [summary(plan.stack, rows), ...downtimeLines(rows, plan.operations)],
  ]
  return sections
    .filter((section) => section.length > 0)
    .map((section) => section.join('\n'))
    .join('\n\n')
}

/** Where something that may run is changed: which of it does not run meanwhile. */
function downtimeLines(rows: readonly Row[], operations: readonly Operation[]): string[] {
  if (!rows.some(({ verb }) => DISTURBING.has(verb))) return []
  const names = downtimeOf(operations).map(printable)
  const text = names.length === 0 ? 'none' : `${names.join(', ')} (from stop to start)`
  return wrap(`Downtime: ${text}`, ' '.repeat('Downtime: '.length))
}

/** Lines of at most 80 columns where words allow it; the later ones begin with the indent. */
function wrap(text: string, indent: string): string[] {
  if (text.length <= WIDTH) return [text]
  const space = text.lastIndexOf(' ', WIDTH)
  const end = space > indent.length ? space : text.indexOf(' ', WIDTH)
  if (end === -1) return [text]
  return [text.slice(0, end), ...wrap(`${indent}${text.slice(end + 1)}`, indent)]
}

type Paint = (code: string, text: string) => string

function shortPath(file: string, directory: string | undefined): string {
  const below = directory === undefined ? undefined : `${directory.replace(/\/$/, '')}/`
  return printable(below !== undefined && file.startsWith(below) ? file.slice(below.length) : file)
}

function rowLines(row: Row, layout: Layout): string[] {
  const { nameWidth, paint } = layout
  const { verb, kind, name, also } = row
  const head = `${MARKS[verb].padStart(3)} ${verb.padEnd(7)} ${kind.padEnd(9)} ${printable(name).padEnd(nameWidth)}`
  const cause = printable(also === undefined ? row.cause : `${row.cause}; ${also}`)
  const color = COLORS[verb]
  const first =
    head.length + 2 + cause.length <= WIDTH
      ? [`${paint(color, head)}  ${cause}`]
      : [paint(color, head.trimEnd()), ...wrap(`${INDENT}${cause}`, INDENT)]
  const hazard =
    row.destructive === undefined ? [] : [`${INDENT}${paint('31', HAZARD_TEXT[row.destructive])}`]
  return [...first, ...hazard, ...changeLines(row, layout)]
}

/** Fields below each other with their notes in one column; a field that is too long for that gets a line for each value. */
function changeLines({ verb, changes }: Row, { paint, placeOf }: Layout): string[] {
  const entries = changes.map((change) => {
    const field = printable(change.field)
    const before = valueText(change.before)
    const after = valueText(change.after)
    // Alike when what differs is not shown.
    const values = before === after ? after : `${before} -> ${after}`
    const line = `${INDENT}${field}: ${values}`
    const place = change.position && placeOf(change.position)
    const note = [noteFor(verb, change.field), place && `(${place})`].filter(Boolean).join(' ')
    return { field, before, after, line, note, fits: line.length + 2 + note.length <= WIDTH }
  })
  const noteLength = Math.max(0, ...entries.map(({ note }) => note.length))
  const lineLength = Math.max(0, ...entries.map(({ line, fits }) => (fits ? line.length : 0)))
  const column = Math.min(lineLength, WIDTH - 2 - noteLength)
  return entries.flatMap(({ field, before, after, line, note, fits }) => {
    const suffix = note === '' ? '' : `  ${paint('90', note)}`
    if (fits || before === after) return [`${suffix === '' ? line : line.padEnd(column)}${suffix}`]
    return [
      `${INDENT}${field}:${suffix}`,
      `${INDENT}  ${paint('31', `- ${before}`)}`,
      `${INDENT}  ${paint('32', `+ ${after}`)}`,
    ]
  })
}

function noteFor(verb: Verb, field: string): string {
  if (verb === 'update') return '# in place, no restart'
  return (verb === 'replace' || verb === 'roll') && fieldClass(field) === 'replace'
    ? '# forces replacement'
    : ''
}

function valueText(value: string | undefined): string {
  if (value === undefined) return '(none)'
  const text = printable(value)
  if (text.length <= MAX_VALUE) return text
  return `${text.slice(0, MAX_VALUE)}... (${text.length} characters)`
}

/** C0, DEL, C1 and the characters that reorder text are not for a terminal. */
function printable(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex -- control characters are what it looks for
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** `Plan: 1 to create, 2 to update, 0 to replace, 0 to remove`, and what is only started, stopped or restarted. */
function summary(stack: string, rows: readonly Row[]): string {
  if (rows.length === 0) return `Nothing to do: stack "${printable(stack)}" is as desired`
  const number = (verb: Verb): number =>
    rows.filter((row) => row.verb === verb).reduce((sum, { count = 1 }) => sum + count, 0)
  const count = (verb: Verb): string =>
    `${number(verb) + (verb === 'replace' ? number('roll') : 0)} to ${verb}`
  const isDone = (verb: Verb): boolean => rows.some((row) => row.verb === verb)
  const changes = (['create', 'update', 'replace', 'remove'] as const).map(count)
  const runs = (['start', 'restart', 'stop'] as const).filter(isDone).map(count)
  const hasChanges = rows.some(({ verb }) => CHANGING.has(verb))
  return `Plan: ${[...(hasChanges || runs.length === 0 ? changes : []), ...runs].join(', ')}`
}
