/**
 * Interpolation of a tree: every text value (never a key), `x-*` included, before anything is merged. At the paths whose
 * attribute is a number or a boolean, text becomes that (compose-go `interpolateTypeCastMapping`).
 */
import { spendText } from './budget.ts'
import type { Budget } from './budget.ts'
import type { Diagnostics } from './diagnostics.ts'
import type { Entry, Node, Path, ScalarNode } from './node.ts'
import { formatPath } from './node.ts'
import { below, pathTable } from './path-table.ts'
import type { PathTable } from './path-table.ts'
import type { Lookup } from './source.ts'
import type { Scalar } from './stack.ts'
import { TemplateError, substitute } from './template.ts'
import { goFloat } from './yaml-scalar.ts'

type Cast = 'integer' | 'number' | 'boolean'

const CASTS = pathTable<Cast>([
  [
    `services.*.cpu_count services.*.cpu_period services.*.cpu_quota services.*.cpu_rt_period
     services.*.cpu_rt_runtime services.*.cpu_shares services.*.deploy.replicas
     services.*.deploy.update_config.parallelism services.*.deploy.rollback_config.parallelism
     services.*.deploy.restart_policy.max_attempts services.*.deploy.placement.max_replicas_per_node
     services.*.healthcheck.retries services.*.oom_score_adj services.*.pids_limit services.*.ports.*.target
     services.*.scale services.*.ulimits.* services.*.ulimits.*.soft services.*.ulimits.*.hard`,
    'integer',
  ],
  [
    `services.*.cpu_percent services.*.cpus services.*.deploy.update_config.max_failure_ratio
     services.*.deploy.rollback_config.max_failure_ratio`,
    'number',
  ],
  [
    `services.*.init services.*.depends_on.*.required services.*.depends_on.*.restart
     services.*.healthcheck.disable services.*.oom_kill_disable services.*.privileged services.*.read_only
     services.*.stdin_open services.*.tty services.*.volumes.*.read_only services.*.volumes.*.volume.nocopy
     networks.*.external networks.*.internal networks.*.attachable networks.*.enable_ipv4 networks.*.enable_ipv6
     volumes.*.external secrets.*.external configs.*.external`,
    'boolean',
  ],
])

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  y: true,
  yes: true,
  on: true,
  false: false,
  n: false,
  no: false,
  off: false,
}

const EXPECTED: Readonly<Record<Cast, string>> = {
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
}

/** What an interpolation needs beside the tree. */
export interface InterpolateOptions {
  readonly lookup: Lookup
  readonly budget: Budget
  readonly diagnostics: Diagnostics
}

interface Visit extends InterpolateOptions {
  readonly path: (string | number)[]
  /** Trees that aliases share are interpolated once, where no cast depends on where they stand. */
  readonly shared: Map<Node, Node>
}

/** The tree with its variables replaced and the typed attributes cast. What fails goes to the diagnostics. */
export function interpolate(root: Node, options: InterpolateOptions): Node {
  return visit(root, CASTS, { ...options, path: [], shared: new Map() })
}

function visit(node: Node, casts: PathTable<Cast> | undefined, context: Visit): Node {
  if (node.kind === 'scalar') return visitScalar(node, casts?.rule, context)
  if (casts === undefined) {
    const known = context.shared.get(node)
    if (known !== undefined) return known
  }
  const result = visitCollection(node, casts, context)
  if (casts === undefined) context.shared.set(node, result)
  return result
}

function visitCollection(
  node: Exclude<Node, ScalarNode>,
  casts: PathTable<Cast> | undefined,
  context: Visit,
): Node {
  const { path } = context
  const visitChild = (value: Node, key: string | number): Node => {
    path.push(key)
    const result = visit(value, below(casts, typeof key === 'number' ? '*' : key), context)
    path.pop()
    return result
  }
  if (node.kind === 'list') {
    const items = node.items.map(visitChild)
    return items.every((item, index) => item === node.items[index]) ? node : { ...node, items }
  }
  const changed = new Map<string, Entry>()
  for (const [key, entry] of node.entries) {
    const value = visitChild(entry.value, key)
    if (value !== entry.value) changed.set(key, { ...entry, value })
  }
  if (changed.size === 0) return node
  const entries = new Map(node.entries)
  for (const [key, entry] of changed) entries.set(key, entry)
  return { ...node, entries }
}

function visitScalar(node: ScalarNode, cast: Cast | undefined, context: Visit): ScalarNode {
  if (typeof node.value !== 'string') return node
  const value = substituted(node, node.value, context)
  if (value === undefined) return node
  if (!spendText(value.length - node.value.length, node, context)) return node
  if (cast === undefined) return value === node.value ? node : { ...node, value }
  return castScalar(node, value, { cast, context })
}

function substituted(node: ScalarNode, template: string, context: Visit): string | undefined {
  const { lookup, diagnostics, path } = context
  try {
    return substitute(template, lookup, (name) => {
      diagnostics.warn(node, `The "${name}" variable is not set. Defaulting to a blank string.`)
    })
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    diagnostics.error(placeWithin(node, error.offset), error.message, {
      path: [...path],
      ...(error.kind === 'required'
        ? {
            expected: 'the variable in the environment or in an environment file',
            suggestion: 'set it in .env, or give it a default: ${NAME:-value}',
          }
        : {
            expected: '$NAME or ${NAME} with a default such as ${NAME:-value}',
            suggestion: 'write $$ for a dollar sign that begins no variable',
          }),
    })
    return undefined
  }
}

/** The offset within the text, where the text stands in the source as it is. */
function placeWithin(node: ScalarNode, offset: number): { source: Node['source']; offset: number } {
  const { source, value } = node
  const text = String(value)
  for (const skip of [0, 1]) {
    if (source.text.startsWith(text, node.offset + skip)) {
      return { source, offset: node.offset + skip + offset }
    }
  }
  return node
}

interface CastOptions {
  readonly cast: Cast
  readonly context: Visit
}

function castScalar(node: ScalarNode, text: string, { cast, context }: CastOptions): ScalarNode {
  const value = castText(text, cast)
  if (value === undefined) {
    const path = [...context.path]
    const shown = formatPath(path)
    context.diagnostics.error(node, `cannot cast ${shown}: "${text}" is not ${EXPECTED[cast]}`, {
      path,
      expected: EXPECTED[cast],
      suggestion: String(node.value).includes('$')
        ? 'set the variable to one, or correct its default'
        : `write ${EXPECTED[cast]}`,
    })
    return node
  }
  if (cast === 'boolean' && !/^(?:true|false)$/i.test(text)) {
    context.diagnostics.warn(
      node,
      `"${text}" for boolean is not supported by YAML 1.2, please use "${String(value)}"`,
    )
  }
  const { source, offset } = node
  const cased: ScalarNode = { kind: 'scalar', source, offset, value }
  if (cast === 'number' && typeof value === 'number') return { ...cased, text: goFloat(value) }
  return cased
}

function castText(text: string, cast: Cast): Scalar | undefined {
  switch (cast) {
    case 'boolean': {
      const key = text.toLowerCase()
      return Object.hasOwn(BOOLEANS, key) ? BOOLEANS[key] : undefined
    }
    case 'integer': {
      const value = /^[-+]?\d{1,19}$/.test(text) ? Number(text) : undefined
      return value !== undefined && Number.isSafeInteger(value) ? value : undefined
    }
    case 'number': {
      const value = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text) ? Number(text) : NaN
      return Number.isFinite(value) ? value : undefined
    }
  }
}

/** The texts of a tree, with their paths; keys are no templates. */
export function* textsOf(node: Node, path: Path = []): Generator<{ text: string; path: Path }> {
  if (node.kind === 'scalar') {
    if (typeof node.value === 'string') yield { text: node.value, path }
  } else if (node.kind === 'list') {
    for (const [index, item] of node.items.entries()) yield* textsOf(item, [...path, index])
  } else {
    for (const [key, entry] of node.entries) yield* textsOf(entry.value, [...path, key])
  }
}
