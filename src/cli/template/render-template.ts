/** Fills a template of parse-template.ts with the fields of a row. Pure. */
import { TsstackError } from '../../errors.ts'
import type { Command, Operand, Pipeline, TemplateNode } from './parse-template.ts'
import { FUNCTIONS, functionNamed, goText, isTrue } from './template-functions.ts'
import type { TemplateFunction } from './template-functions.ts'

/** A field that is a function takes one word: `{{.Label "com.example.team"}}`. JSON leaves those out. */
export type Row = Readonly<Record<string, unknown>>

interface Scope {
  readonly row: Row
  /** What `.` is: the row, or an element in `range`. */
  readonly dot: unknown
  readonly functions: Readonly<Record<string, TemplateFunction>>
}

function fieldOf({ row, dot }: Scope, path: readonly string[]): unknown {
  let value = dot
  for (const name of path) {
    const holder = typeof value === 'object' && value !== null ? value : {}
    if (!Object.hasOwn(holder, name)) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot use field ".${path.join('.')}" in --format: there is no such field`,
        { hint: `fields: ${Object.keys(value === row ? row : holder).join(', ')}` },
      )
    }
    value = (holder as Record<string, unknown>)[name]
  }
  return value
}

function evaluate(operand: Operand, scope: Scope): unknown {
  switch (operand.kind) {
    case 'literal':
      return operand.value
    case 'field':
      return fieldOf(scope, operand.path)
    case 'group':
      return evaluatePipeline(operand.pipeline, scope)
    case 'function':
      return functionNamed(operand.name, scope.functions)
  }
}

function call([first, ...rest]: Command, scope: Scope, piped: readonly unknown[]): unknown {
  if (first === undefined) return undefined
  const value = evaluate(first, scope)
  const values = [...rest.map((operand) => evaluate(operand, scope)), ...piped]
  if (typeof value === 'function') return (value as TemplateFunction)(...values)
  if (values.length === 0) return value
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use "${goText(value)}" in --format with an argument: it is no function`,
  )
}

function evaluatePipeline(pipeline: Pipeline, scope: Scope): unknown {
  let piped: readonly unknown[] = []
  for (const command of pipeline) piped = [call(command, scope, piped)]
  return piped[0]
}

function elements(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return typeof value === 'object' && value !== null ? Object.values(value) : []
}

function renderNode(node: TemplateNode, scope: Scope): string {
  if (node.kind === 'text') return node.text
  const value = evaluatePipeline(node.pipeline, scope)
  if (node.kind === 'action') return goText(value)
  if (node.kind === 'if') return renderNodes(isTrue(value) ? node.body : node.otherwise, scope)
  const items = elements(value)
  if (items.length === 0) return renderNodes(node.otherwise, scope)
  return items.map((dot) => renderNodes(node.body, { ...scope, dot })).join('')
}

function renderNodes(nodes: readonly TemplateNode[], scope: Scope): string {
  return nodes.map((node) => renderNode(node, scope)).join('')
}

/** @throws {INVALID_ARGUMENT} for a field or a function that is not there */
export function renderTemplate(
  nodes: readonly TemplateNode[],
  row: Row,
  functions: Readonly<Record<string, TemplateFunction>> = FUNCTIONS,
): string {
  return renderNodes(nodes, { row, dot: row, functions })
}
