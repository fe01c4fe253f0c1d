/** Holds a tree against the schema and says what is wrong in the user's words, each at its place. */
import { config, safeParse } from 'zod/mini'
import type { core } from 'zod/mini'
import type { Diagnostics } from './diagnostics.ts'
import { find, formatPath, locate, locateKey, scalarText, toPlain } from './node.ts'
import type { MapNode, Node, Path } from './node.ts'
import { stackFileSchema } from './schema.ts'
import { suggest } from './suggest.ts'

// A file is read once: compiling a validator for each shape costs more than it saves.
config({ jitless: true })

type Issue = core.$ZodIssue

interface Check {
  readonly root: MapNode
  readonly diagnostics: Diagnostics
}

/** Tells the diagnostics of everything in the tree that the schema does not allow. */
export function checkSchema(root: MapNode, diagnostics: Diagnostics): void {
  const result = safeParse(stackFileSchema, toPlain(root))
  if (result.success) return
  for (const issue of result.error.issues) report(issue, [], { root, diagnostics })
}

function report(issue: Issue, base: Path, check: Check): void {
  const path = [...base, ...(issue.path as Path)]
  const { root, diagnostics } = check
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys) if (!key.startsWith('x-')) reportUnknownKey(key, path, check)
      return
    case 'invalid_union':
      reportUnion(issue, path, check)
      return
    case 'invalid_key':
      diagnostics.error(locateKey(root, path), `"${String(path.at(-1))}" is no valid name`, {
        path,
        expected: 'letters, digits, dots, hyphens and underscores',
        suggestion: `write ${String(path.at(-1)).replace(/[^a-zA-Z0-9._-]+/g, '-')}`,
      })
      return
    case 'invalid_type':
      reportType(issue.expected, path, check)
      return
    case 'invalid_value': {
      const values = issue.values.map(String)
      reportValue(values, path, check)
      return
    }
    case 'invalid_format':
    case 'too_small':
    case 'too_big':
    case 'not_multiple_of':
    case 'invalid_element':
    case 'custom':
      diagnostics.error(locate(root, path), `${formatPath(path)}: ${issue.message}`, {
        path,
        expected: expectedOf(issue),
        suggestion: issue.code === 'custom' ? 'remove one of them' : undefined,
      })
  }
}

function expectedOf(issue: Issue): string | undefined {
  if (issue.code === 'invalid_format') return issue.pattern && `text like ${issue.pattern}`
  if (issue.code === 'too_small') return `at least ${String(issue.minimum)}`
  if (issue.code === 'too_big') return `at most ${String(issue.maximum)}`
  return issue.code === 'custom' ? 'each item once' : undefined
}

const MAX_LISTED = 20

function listed(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined
  if (names.length <= MAX_LISTED) return `one of ${names.join(', ')}`
  return `one of the ${String(names.length)} attributes of a service, such as image, command, environment, ports, volumes`
}

function reportUnknownKey(key: string, path: Path, { root, diagnostics }: Check): void {
  const names = attributesAt(path)
  const near = suggest(key, names)
  const where = path.length === 0 ? 'at the top level' : `in ${formatPath(path)}`
  diagnostics.error(
    locateKey(root, [...path, key]),
    `additional properties '${key}' not allowed ${where}`,
    {
      path: [...path, key],
      expected: listed(names),
      suggestion:
        near === undefined ? `keys of your own begin with x-: x-${key}` : `did you mean "${near}"?`,
    },
  )
}

function reportType(expected: string, path: Path, check: Check): void {
  reportKind(path, [NOUNS[expected] ?? expected], check)
}

/** Tells that a value of another kind should stand at a path, or that one should. */
function reportKind(path: Path, nouns: readonly string[], { root, diagnostics }: Check): void {
  const node = find(root, path)
  const at = formatPath(path)
  const last = nouns.at(-1) ?? 'something else'
  const noun = nouns.length > 1 ? `${nouns.slice(0, -1).join(', ')} or ${last}` : last
  if (node === undefined) {
    const key = String(path.at(-1))
    const owner = path.slice(0, -1)
    diagnostics.error(locate(root, owner), `${formatPath(owner)}: missing property '${key}'`, {
      path,
      expected: noun,
      suggestion: `add ${key}:`,
    })
    return
  }
  diagnostics.error(locate(root, path), `${at === '' ? 'the file' : at} must be ${noun}`, {
    path,
    expected: noun,
    suggestion: rewriteHint(node, path, nouns),
  })
}

/** How to write what stands there as what is wanted. */
function rewriteHint(node: Node, path: Path, nouns: readonly string[]): string {
  const text = node.kind === 'scalar' ? scalarText(node) : ''
  const isValue = node.kind === 'scalar' && node.value !== null
  if (isValue && DURATIONS.has(String(path.at(-1)))) return `write a unit: ${text}s`
  if (isValue && nouns.includes('a string')) return `quote it: "${text}"`
  if (isValue && nouns.includes('a list')) return `write it as an item of a list: ["${text}"]`
  if (!isValue && node.kind === 'scalar')
    return `write ${nouns[0] ?? 'a value'} below it, indented, or remove it`
  if (node.kind === 'list' && nouns.includes('a mapping'))
    return 'write key: value, without the dashes'
  return `write ${nouns[0] ?? 'another value'} here`
}

const DURATIONS = new Set([
  'interval',
  'timeout',
  'start_period',
  'start_interval',
  'stop_grace_period',
  'delay',
  'monitor',
  'window',
])

const NOUNS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  null: 'nothing',
}

function reportValue(values: readonly string[], path: Path, { root, diagnostics }: Check): void {
  const node = find(root, path)
  const at = formatPath(path)
  if (node === undefined) {
    const key = String(path.at(-1))
    const owner = path.slice(0, -1)
    diagnostics.error(locate(root, owner), `${formatPath(owner)}: missing property '${key}'`, {
      path,
      expected: `one of ${values.join(', ')}`,
      suggestion: `add ${key}: ${values[0] ?? ''}`,
    })
    return
  }
  const value = node.kind === 'scalar' ? scalarText(node) : `a ${node.kind}`
  const near = suggest(value, values)
  diagnostics.error(locate(root, path), `${at}: "${value}" is not allowed`, {
    path,
    expected: values.length === 1 ? (values[0] ?? '') : `one of ${values.join(', ')}`,
    suggestion: near === undefined ? `write ${values[0] ?? ''}` : `did you mean "${near}"?`,
  })
}

/**
 * Of the forms that an attribute has, the one that was meant is the one whose kind of value is there: what is wrong
 * within it is told. When none is, all kinds are what was expected.
 */
function reportUnion(issue: core.$ZodIssueInvalidUnion, path: Path, check: Check): void {
  const meant = issue.errors.filter((issues) => !issues.some(isWrongKind))
  const remaining = meant.map((issues) => issues.filter(isSerious))
  if (remaining.some((issues) => issues.length === 0)) return
  const [best] = remaining.sort((a, b) => a.length - b.length)
  if (best !== undefined) {
    for (const inner of best) report(inner, path, check)
    return
  }
  reportKind(path, [...new Set(kindsOf(issue))], check)
}

function isWrongKind(issue: Issue): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_union')
    return issue.errors.every((issues) => issues.some(isWrongKind))
  return (
    issue.code === 'invalid_type' ||
    (issue.code === 'invalid_value' && typeof issue.input !== 'string')
  )
}

/** An `x-*` key is no error. */
function isSerious(issue: Issue): boolean {
  return issue.code !== 'unrecognized_keys' || issue.keys.some((key) => !key.startsWith('x-'))
}

function kindsOf(issue: core.$ZodIssueInvalidUnion): string[] {
  return issue.errors.flat().flatMap((inner) => {
    if (inner.path.length > 0) return []
    if (inner.code === 'invalid_union') return kindsOf(inner)
    if (inner.code === 'invalid_type') return [NOUNS[inner.expected] ?? inner.expected]
    if (inner.code === 'invalid_value') return inner.values.map(String)
    return []
  })
}

interface Definition {
  readonly type: string
  readonly shape?: Readonly<Record<string, core.$ZodType>>
  readonly innerType?: core.$ZodType
  readonly options?: readonly core.$ZodType[]
  readonly valueType?: core.$ZodType
  readonly element?: core.$ZodType
}

function definitionOf(schema: core.$ZodType): Definition {
  return schema._zod.def
}

/** The attributes that the schema knows at a path: its candidates for "did you mean". */
export function attributesAt(path: Path): string[] {
  let schemas: core.$ZodType[] = [stackFileSchema]
  for (const segment of path)
    schemas = alternatives(schemas).flatMap((schema) => step(schema, segment))
  const shapes = alternatives(schemas).flatMap((schema) =>
    Object.keys(definitionOf(schema).shape ?? {}),
  )
  return [...new Set(shapes)].sort()
}

/** The schemas that optional ones and unions stand for. */
function alternatives(schemas: readonly core.$ZodType[]): core.$ZodType[] {
  return schemas.flatMap((schema) => {
    const { innerType, options } = definitionOf(schema)
    if (innerType !== undefined) return alternatives([innerType])
    return options === undefined ? [schema] : alternatives(options)
  })
}

function step(schema: core.$ZodType, segment: string | number): core.$ZodType[] {
  const { shape, valueType, element } = definitionOf(schema)
  const next = shape?.[String(segment)] ?? valueType ?? element
  return next === undefined ? [] : [next]
}
