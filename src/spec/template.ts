/**
 * Interpolation of one text, Compose's grammar (compose-spec 12-interpolation.md): `$$`, `$NAME`, `${NAME}`,
 * `${NAME:-d}`, `${NAME-d}`, `${NAME:?e}`, `${NAME?e}`, `${NAME:+a}`, `${NAME+a}`; d, e and a nest. A `$` that begins
 * none of these is text; a malformed `${` is an error.
 */
import type { Lookup } from './source.ts'

/** A template that cannot be substituted. `offset` is where in the text it went wrong. */
export class TemplateError extends Error {
  readonly offset: number
  readonly kind: 'malformed' | 'required'

  constructor(kind: 'malformed' | 'required', message: string, offset: number) {
    super(message)
    this.kind = kind
    this.offset = offset
  }
}

/** One variable that a text names. */
export interface TemplateVariable {
  readonly name: string
  readonly default: string
  readonly presence: string
  readonly required: boolean
}

type Operator = ':?' | '?' | ':-' | '-' | ':+' | '+' | ''

interface Expression {
  readonly name: string
  readonly operator: Operator
  readonly operand: string
}

const NAME = /[_a-zA-Z][_a-zA-Z0-9]*/y
const MAX_DEPTH = 50
const MAX_RESULT = 1 << 20

/**
 * The text with its variables replaced; `onUnset` is told of each that is not set and has no default.
 * @throws {TemplateError} when it is malformed, a required variable is missing, or it nests or grows out of bounds
 */
export function substitute(
  template: string,
  lookup: Lookup,
  onUnset?: (name: string) => void,
): string {
  return template.includes('$')
    ? expand(template, { lookup, onUnset, depth: 0, base: 0 })
    : template
}

interface Context {
  readonly lookup: Lookup
  readonly onUnset: ((name: string) => void) | undefined
  readonly depth: number
  /** Offset of this text within the whole template. */
  readonly base: number
}

function expand(text: string, context: Context): string {
  if (context.depth > MAX_DEPTH) {
    throw new TemplateError('malformed', 'the variables are nested too deeply', context.base)
  }
  let result = ''
  let at = 0
  for (let dollar = text.indexOf('$'); dollar !== -1; dollar = text.indexOf('$', at)) {
    result += text.slice(at, dollar)
    const next = text.charAt(dollar + 1)
    if (next === '$') {
      result += '$'
      at = dollar + 2
    } else if (next === '{') {
      const end = closingBrace(text, dollar)
      const inner = readExpression(text, dollar, end, context.base)
      const operandAt = context.base + end - inner.operand.length
      result += evaluate(
        inner,
        { ...context, depth: context.depth + 1, base: operandAt },
        context.base + dollar,
      )
      at = end + 1
    } else {
      const name = nameAt(text, dollar + 1)
      result += name === undefined ? '$' : valueOf(name, context)
      at = dollar + 1 + (name?.length ?? 0)
    }
    if (result.length > MAX_RESULT) {
      throw new TemplateError('malformed', 'the text grows above 1 MiB', context.base + dollar)
    }
  }
  return result + text.slice(at)
}

function valueOf(name: string, context: Context): string {
  const value = context.lookup(name)
  if (value === undefined) context.onUnset?.(name)
  return value ?? ''
}

function nameAt(text: string, at: number): string | undefined {
  NAME.lastIndex = at
  return NAME.exec(text)?.[0]
}

/** The index of the brace that closes the `${` at `start`: that of its own, or the last where they do not balance. */
function closingBrace(text: string, start: number): number {
  let open = 1
  let last = -1
  for (let at = start + 2; at < text.length; at++) {
    if (text[at] === '{') open++
    else if (text[at] === '}') {
      open--
      last = at
      if (open === 0) return at
    }
  }
  return last
}

function readExpression(text: string, start: number, end: number, base: number): Expression {
  if (end === -1) {
    const message = `invalid interpolation format: "${text.slice(start, start + 40)}" has no closing brace`
    throw new TemplateError('malformed', message, base + start)
  }
  const inner = text.slice(start + 2, end)
  const name = nameAt(inner, 0)
  const operator = name === undefined ? undefined : operatorAt(inner, name.length)
  if (name === undefined || operator === undefined) {
    const shown = text.slice(start, end + 1)
    throw new TemplateError('malformed', `invalid interpolation format: "${shown}"`, base + start)
  }
  return { name, operator, operand: inner.slice(name.length + operator.length) }
}

function operatorAt(inner: string, at: number): Operator | undefined {
  const two = inner.slice(at, at + 2)
  if (two === ':?' || two === ':-' || two === ':+') return two
  const one = inner.charAt(at)
  if (one === '' || one === '?' || one === '-' || one === '+') return one
  return undefined
}

function evaluate(expression: Expression, context: Context, offset: number): string {
  const { name, operator, operand } = expression
  const value = context.lookup(name)
  const isSet = value !== undefined && (value !== '' || !operator.startsWith(':'))
  switch (operator) {
    case '':
      return valueOf(name, context)
    case ':-':
    case '-':
      return isSet ? value : expand(operand, context)
    case ':+':
    case '+':
      return isSet ? expand(operand, context) : ''
    case ':?':
    case '?': {
      if (isSet) return value
      const reason = expand(operand, context)
      const message = `required variable ${name} is missing a value${reason === '' ? '' : `: ${reason}`}`
      throw new TemplateError('required', message, offset)
    }
  }
}

/** The variables that a text names, those in defaults included; a malformed part is passed over. */
export function templateVariables(template: string): TemplateVariable[] {
  const found: TemplateVariable[] = []
  collect(template, found, 0)
  return found
}

function collect(text: string, found: TemplateVariable[], depth: number): void {
  let at = 0
  for (let dollar = text.indexOf('$', at); dollar !== -1; dollar = text.indexOf('$', at)) {
    const next = text.charAt(dollar + 1)
    const end = next === '{' ? closingBrace(text, dollar) : -1
    const expression = end === -1 ? undefined : tryReadExpression(text, dollar, end)
    if (expression !== undefined) {
      found.push(variableOf(expression))
      if (depth < MAX_DEPTH) collect(expression.operand, found, depth + 1)
      at = end + 1
    } else if (next === '$') {
      at = dollar + 2
    } else {
      const name = nameAt(text, dollar + 1)
      if (name !== undefined) found.push(variableOf({ name, operator: '', operand: '' }))
      at = dollar + 1 + (name?.length ?? 0)
    }
  }
}

function tryReadExpression(text: string, start: number, end: number): Expression | undefined {
  try {
    return readExpression(text, start, end, 0)
  } catch {
    return undefined
  }
}

function variableOf({ name, operator, operand }: Expression): TemplateVariable {
  return {
    name,
    default: operator.endsWith('-') ? operand : '',
    presence: operator.endsWith('+') ? operand : '',
    required: operator.endsWith('?'),
  }
}
