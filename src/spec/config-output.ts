/** The canonical model as `tsstack config` prints it: what is empty left out, `$` doubled so that it can be read again. */
import { Document, visit } from 'yaml'
import type { Stack } from './stack.ts'
import { resolvePlainScalar } from './yaml-scalar.ts'

const SECTIONS = new Set(['services', 'networks', 'volumes', 'configs', 'secrets'])
const FIRST = ['name', 'services', 'networks', 'volumes', 'configs', 'secrets', 'models']

export interface ConfigFormat {
  readonly format: 'yaml' | 'json'
  /** False when the model was loaded without interpolation: its `$` are as they were written. */
  readonly escape?: boolean
}

/** The stack as a plain tree with its sections in a fixed order, empty ones left out, services in their order. */
export function toConfigModel(stack: Partial<Stack>): Record<string, unknown> {
  const model: Record<string, unknown> = {}
  const rest = Object.keys(stack).filter((key) => !FIRST.includes(key))
  for (const key of [...FIRST, ...rest]) {
    const value = (stack as Record<string, unknown>)[key]
    const isEmpty = SECTIONS.has(key) && Object.keys(value ?? {}).length === 0
    if (value !== undefined && !isEmpty) model[key] = value
  }
  return model
}

/** The canonical model as text, ending in a newline. */
export function formatConfig(
  stack: Partial<Stack>,
  { format, escape = true }: ConfigFormat,
): string {
  const model = escape ? escapeDollars(toConfigModel(stack)) : toConfigModel(stack)
  if (format === 'json') return `${JSON.stringify(model, null, 2)}\n`
  // As YAML 1.1 too, so that no reader takes "yes", "017" or a date for anything but text.
  const document = new Document(model, { aliasDuplicateObjects: false, compat: 'yaml-1.1' })
  visit(document, {
    Scalar: (_, node) => {
      if (typeof node.value === 'string' && mustBeQuoted(node.value)) node.type = 'QUOTE_DOUBLE'
    },
  })
  return document.toString({ lineWidth: 0 })
}

/** Text that a reader would take for a number, or whose white space it would lose. */
function mustBeQuoted(text: string): boolean {
  return (
    typeof resolvePlainScalar(text).value !== 'string' ||
    /[\u0085\u2028\u2029\ufeff]|^[^\S\n]|[^\S\n]$/u.test(text)
  )
}

function escapeDollars(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$', '$$$$')
  if (Array.isArray(value)) return value.map(escapeDollars)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, escapeDollars(inner)]),
  )
}
