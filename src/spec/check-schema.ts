/**
 * Holds a tree against the schema and says what is wrong in the user's words, each at its place.
 *
 * It reads stack.schema.json, which is generated from the zod schema (`schema.ts`), rather than run zod: making zod's
 * validators costs more at each start than all of loading a small file, and it would have to be told of places. A test
 * holds the two against each other.
 */
import jsonSchema from '../../stack.schema.json' with { type: 'json' }
import type { Diagnostics } from './diagnostics.ts'
import type { ListNode, MapNode, Node, Path, Place, ScalarNode } from './node.ts'
import { formatPath, isNull, scalarText } from './node.ts'
import type { DiagnosticDetails } from './spec-error.ts'
import { suggest } from './suggest.ts'

type Kind = 'null' | 'boolean' | 'integer' | 'number' | 'string' | 'array' | 'object'

/** The words of JSON Schema that stack.schema.json uses. */
interface Schema {
  readonly type?: Kind | readonly Kind[]
  readonly anyOf?: readonly Schema[]
  readonly const?: string
  readonly enum?: readonly string[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly items?: Schema
  readonly uniqueItems?: boolean
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly propertyNames?: Schema
}

const EXTENSION = 'x-tsstack'

const STACK_FILE = jsonSchema as unknown as Schema

interface Problem {
  readonly place: Place
  readonly message: string
  readonly details: DiagnosticDetails
}

/** Tells the diagnostics of everything in the tree that the schema does not allow. */
export function checkSchema(root: MapNode, diagnostics: Diagnostics): void {
  const problems: Problem[] = []
  check(root, STACK_FILE, { path: [], place: root, problems })
  for (const { place, message, details } of problems) diagnostics.error(place, message, details)
}

interface Visit {
  readonly path: Path
  /** Where a mapping or nothing is said to stand: at its key. */
  readonly place: Place
  readonly problems: Problem[]
}

function check(node: Node, schema: Schema, visit: Visit): void {
  const options = schema.anyOf?.flatMap(flatten) ?? [schema]
  const meant = options.filter((option) => isOfKind(node, option))
  const [only] = meant
  if (only === undefined) tellKind(node, options, visit)
  else if (meant.length === 1) checkOption(node, only, visit)
  else checkOptions(node, meant, visit)
}

function flatten(schema: Schema): readonly Schema[] {
  return schema.anyOf?.flatMap(flatten) ?? [schema]
}

/** Of several forms with the same kind of value, the one with the least that is wrong was meant. */
function checkOptions(node: Node, options: readonly Schema[], visit: Visit): void {
  let best: readonly Problem[] | undefined
  for (const option of options) {
    const problems: Problem[] = []
    checkOption(node, option, { ...visit, problems })
    if (best === undefined || problems.length < best.length) best = problems
    if (problems.length === 0) return
  }
  visit.problems.push(...(best ?? []))
}

function checkOption(node: Node, schema: Schema, visit: Visit): void {
  if (node.kind === 'map') checkMap(node, schema, visit)
  else if (node.kind === 'list') checkList(node, schema, visit)
  else checkScalar(node, schema, visit)
}

function kindsOf(schema: Schema): readonly Kind[] {
  if (schema.type === undefined) return []
  return typeof schema.type === 'string' ? [schema.type] : schema.type
}

function isOfKind(node: Node, schema: Schema): boolean {
  const kinds = kindsOf(schema)
  if (kinds.length === 0) return true
  if (node.kind === 'map') return kinds.includes('object')
  if (node.kind === 'list') return kinds.includes('array')
  const { value } = node
  if (value === null) return kinds.includes('null')
  if (typeof value !== 'number') return kinds.includes(typeof value as Kind)
  return kinds.includes('number') || (kinds.includes('integer') && Number.isInteger(value))
}

function checkMap(node: MapNode, schema: Schema, visit: Visit): void {
  const { properties = {}, required = [], additionalProperties, propertyNames } = schema
  for (const [key, entry] of node.entries) {
    const known = Object.hasOwn(properties, key) ? properties[key] : undefined
    const value =
      known ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined)
    if (value !== undefined) {
      if (known === undefined) checkName(key, entry, propertyNames, visit)
      const atKey = entry.value.kind === 'map' || isNull(entry.value)
      const place = atKey ? entry : entry.value
      check(entry.value, value, { path: [...visit.path, key], place, problems: visit.problems })
    } else if (additionalProperties === false && key === EXTENSION) {
      tellMisplacedExtension(entry, visit)
    } else if (additionalProperties === false && !key.startsWith('x-')) {
      tellUnknownKey(key, entry, properties, visit)
    }
  }
  for (const key of required) {
    const missing = properties[key]
    if (!node.entries.has(key) && missing !== undefined) tellMissing(key, missing, visit)
  }
}

function checkList(node: ListNode, { items, uniqueItems }: Schema, visit: Visit): void {
  if (items !== undefined) {
    for (const [index, item] of node.items.entries()) {
      const inner = { path: [...visit.path, index], place: item, problems: visit.problems }
      check(item, items, inner)
    }
  }
  if (uniqueItems !== true) return
  const seen = new Set<unknown>()
  for (const item of node.items) {
    if (item.kind !== 'scalar') continue
    if (seen.has(item.value)) {
      tell(visit, item, `${formatPath(visit.path)}: "${scalarText(item)}" is there twice`, {
        expected: 'each item once',
        suggestion: 'remove one of them',
      })
    }
    seen.add(item.value)
  }
}

const patterns = new Map<string, RegExp>()

function matches(pattern: string, text: string): boolean {
  let expression = patterns.get(pattern)
  if (expression === undefined) {
    expression = new RegExp(pattern)
    patterns.set(pattern, expression)
  }
  return expression.test(text)
}

function checkScalar(node: ScalarNode, schema: Schema, visit: Visit): void {
  const text = scalarText(node)
  const at = formatPath(visit.path)
  const values = schema.enum ?? (schema.const === undefined ? undefined : [schema.const])
  if (values !== undefined && !values.includes(text)) {
    const near = suggest(text, values)
    tell(visit, node, `${at}: "${text}" is not allowed`, {
      expected: oneOf(values),
      suggestion: near === undefined ? `write ${values[0] ?? ''}` : `did you mean "${near}"?`,
    })
  }
  if (typeof node.value === 'number') checkBounds(node, node.value, { schema, visit })
  else if (
    schema.pattern !== undefined &&
    typeof node.value === 'string' &&
    !matches(schema.pattern, text)
  ) {
    tell(visit, node, `${at}: "${text}" is not allowed`, {
      expected: `text with ${schema.pattern}`,
      suggestion: 'correct it, or leave it out',
    })
  }
}

function checkBounds(
  node: ScalarNode,
  value: number,
  { schema, visit }: { readonly schema: Schema; readonly visit: Visit },
): void {
  const { minimum = -Infinity, maximum = Infinity } = schema
  if (value >= minimum && value <= maximum) return
  const nearest = String(value < minimum ? minimum : maximum)
  const word = value < minimum ? 'least' : 'most'
  tell(visit, node, `${formatPath(visit.path)}: ${String(value)} is out of range`, {
    expected: `at ${word} ${nearest}`,
    suggestion: `write ${nearest}`,
  })
}

function oneOf(values: readonly string[]): string {
  return values.length === 1 ? (values[0] ?? '') : `one of ${values.join(', ')}`
}

function tell(visit: Visit, place: Place, message: string, details: DiagnosticDetails): void {
  visit.problems.push({ place, message, details: { path: visit.path, ...details } })
}

/** A name that the user gives: of a service, a network, a limit. */
function checkName(key: string, place: Place, names: Schema | undefined, visit: Visit): void {
  if (names?.pattern === undefined || matches(names.pattern, key)) return
  tell({ ...visit, path: [...visit.path, key] }, place, `"${key}" is no valid name`, {
    expected: 'letters, digits, dots, hyphens and underscores',
    suggestion: `write ${key.replace(/[^a-zA-Z0-9._-]+/g, '-')}`,
  })
}

/** What stands there would mean nothing, whereas other keys that begin with x- are the user's own. */
function tellMisplacedExtension(place: Place, visit: Visit): void {
  const path = [...visit.path, EXTENSION]
  tell({ ...visit, path }, place, `${EXTENSION} has no meaning in ${formatPath(visit.path)}`, {
    expected: `${EXTENSION} at the top level or in a service`,
    suggestion: 'move it there, or remove it',
  })
}

const MAX_LISTED = 20

function tellUnknownKey(
  key: string,
  place: Place,
  properties: Readonly<Record<string, Schema>>,
  visit: Visit,
): void {
  const names = Object.keys(properties)
  const near = suggest(key, names)
  const where = visit.path.length === 0 ? 'at the top level' : `in ${formatPath(visit.path)}`
  const message = `additional properties '${key}' not allowed ${where}`
  const listed =
    names.length <= MAX_LISTED
      ? oneOf(names)
      : `one of the ${String(names.length)} attributes of a service, such as image, command, environment, ports, volumes`
  tell({ ...visit, path: [...visit.path, key] }, place, message, {
    expected: listed,
    suggestion:
      near === undefined ? `keys of your own begin with x-: x-${key}` : `did you mean "${near}"?`,
  })
}

function tellMissing(key: string, schema: Schema, visit: Visit): void {
  const message = `${formatPath(visit.path)}: missing property '${key}'`
  const { enum: values } = schema
  tell({ ...visit, path: [...visit.path, key] }, visit.place, message, {
    expected: values === undefined ? nounOf(flatten(schema)) : oneOf(values),
    suggestion: `add ${key}:${values === undefined ? '' : ` ${values[0] ?? ''}`}`,
  })
}

const NOUNS: Readonly<Record<Kind, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'an integer',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  null: 'nothing',
}

function nounsOf(options: readonly Schema[]): readonly string[] {
  return [
    ...new Set(
      options.flatMap((option) => option.const ?? kindsOf(option).map((kind) => NOUNS[kind])),
    ),
  ]
}

function nounOf(options: readonly Schema[]): string {
  const nouns = nounsOf(options)
  const last = nouns.at(-1) ?? 'something else'
  return nouns.length > 1 ? `${nouns.slice(0, -1).join(', ')} or ${last}` : last
}

function tellKind(node: Node, options: readonly Schema[], visit: Visit): void {
  const at = formatPath(visit.path)
  const noun = nounOf(options)
  tell(visit, visit.place, `${at === '' ? 'the file' : at} must be ${noun}`, {
    expected: noun,
    suggestion: rewriteHint(node, visit.path, nounsOf(options)),
  })
}

const DURATIONS = new Set([
  'interval',
  'timeout',
  'start_period',
  'start_interval',
  'stop_grace_period',
  'drain',
  'delay',
  'monitor',
  'window',
])

/** How to write what stands there as what is wanted. */
function rewriteHint(node: Node, path: Path, nouns: readonly string[]): string {
  const text = node.kind === 'scalar' ? scalarText(node) : ''
  const isValue = node.kind === 'scalar' && node.value !== null
  const [noun = 'another value'] = nouns
  if (isValue && DURATIONS.has(String(path.at(-1)))) return `write a unit: ${text}s`
  if (isValue && nouns.includes('a string')) return `quote it: "${text}"`
  if (isValue && nouns.includes('a list')) return `write it as an item of a list: ["${text}"]`
  if (isNull(node)) return `write ${noun} below it, indented, or remove it`
  if (node.kind === 'list' && nouns.includes('a mapping'))
    return 'write key: value, without the dashes'
  return `write ${noun} here`
}
