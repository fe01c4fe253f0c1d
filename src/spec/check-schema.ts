/** Holds a tree against the schema and says what is wrong in the user's words, each at its place. */
import { config, safeParse } from 'zod/mini'
import type { core } from 'zod/mini'
import type { Diagnostics } from './diagnostics.ts'
import { find, formatPath, locate, locateKey, scalarText, toPlain } from './node.ts'
import type { MapNode, Path } from './node.ts'
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
      })
  }
}

function expectedOf(issue: Issue): string | undefined {
  if (issue.code === 'invalid_format') return issue.pattern && `text like ${issue.pattern}`
  if (issue.code === 'too_small') return `at least ${String(issue.minimum)}`
  if (issue.code === 'too_big') return `at most ${String(issue.maximum)}`
  return undefined
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
      expected: names.length === 0 ? undefined : `one of ${names.join(', ')}`,
      suggestion:
        near === undefined ? `keys of your own begin with x-: x-${key}` : `did you mean "${near}"?`,
    },
  )
}

function reportType(expected: string, path: Path, { root, diagnostics }: Check): void {
  const at = formatPath(path)
  const node = find(root, path)
  if (node === undefined) {
    const key = String(path.at(-1))
    diagnostics.error(
      locate(root, path.slice(0, -1)),
      `${at.slice(0, at.lastIndexOf('.'))}: missing property '${key}'`,
      {
        path,
        expected: `${key}, ${NOUNS[expected] ?? expected}`,
      },
    )
    return
  }
  const noun = NOUNS[expected] ?? expected
  diagnostics.error(locate(root, path), `${at === '' ? 'the file' : at} must be ${noun}`, {
    path,
    expected: noun,
    suggestion: quoteHint(expected, path, { root, diagnostics }),
  })
}

/** A number or a boolean where text is wanted: quotes make it text. */
function quoteHint(expected: string, path: Path, { root }: Check): string | undefined {
  const node = find(root, path)
  if (expected !== 'string' || node?.kind !== 'scalar' || node.value === null) return undefined
  return `quote it: "${scalarText(node)}"`
}

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
    diagnostics.error(
      locate(root, path.slice(0, -1)),
      `missing property '${String(path.at(-1))}'`,
      {
        path,
        expected: `one of ${values.join(', ')}`,
      },
    )
    return
  }
  const value = node.kind === 'scalar' ? scalarText(node) : `a ${node.kind}`
  const near = suggest(value, values)
  diagnostics.error(locate(root, path), `${at}: "${value}" is not allowed`, {
    path,
    expected: values.length === 1 ? (values[0] ?? '') : `one of ${values.join(', ')}`,
    suggestion: near === undefined ? undefined : `did you mean "${near}"?`,
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
  reportKinds(issue, path, check)
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

function reportKinds(
  issue: core.$ZodIssueInvalidUnion,
  path: Path,
  { root, diagnostics }: Check,
): void {
  const kinds = [...new Set(kindsOf(issue))]
  const node = find(root, path)
  const last = kinds.at(-1) ?? 'something else'
  const noun = kinds.length > 1 ? `${kinds.slice(0, -1).join(', ')} or ${last}` : last
  if (node === undefined) {
    const message = `missing property '${String(path.at(-1))}'`
    diagnostics.error(locate(root, path.slice(0, -1)), message, { path, expected: noun })
    return
  }
  diagnostics.error(locate(root, path), `${formatPath(path)} must be ${noun}`, {
    path,
    expected: noun,
  })
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
