/**
 * The grammar of `--format`: Go's text/template, as far as people use it with Docker. Pure.
 *
 *   template  = { text | "{{" action "}}" }                   "{{-" and "-}}" take the white space beside them away
 *   action    = pipeline | "if" pipeline | "else" [ "if" pipeline ] | "range" pipeline | "end"
 *   pipeline  = command { "|" command }                       what comes before is the last argument of what follows
 *   command   = operand { operand }                           the first may be a function, or a field that takes a word
 *   operand   = "." { name "." } | name | "text" | `text` | number | "true" | "false" | "(" pipeline ")"
 *
 * Variables, `with`, `define` and `block` are left out.
 */
import { TsstackError } from '../../errors.ts'

export type Operand =
  /** `.`, `.Name`, `.State.Status` */
  | { readonly kind: 'field'; readonly path: readonly string[] }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'group'; readonly pipeline: Pipeline }

export type Command = readonly Operand[]
export type Pipeline = readonly Command[]

export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | (Block & { readonly kind: 'if' | 'range' })

interface Block {
  readonly pipeline: Pipeline
  readonly body: readonly TemplateNode[]
  readonly otherwise: readonly TemplateNode[]
}

/** Deeper than anybody writes, and short of the stack's end. */
const MAX_DEPTH = 50

const ACTION = /\{\{(.*?)\}\}/gs
const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*")|`([^`]*)`|(-?\d+)(?![\w.])|((?:\.[A-Za-z_]\w*)+|\.)|([A-Za-z_]\w*)|([|()]))/y

function wrong(reason: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot use this --format: ${reason}`, {
    hint: 'table, json, or fields like {{.Name}}; see docs/cli.md',
  })
}

type Token =
  { readonly kind: 'operand'; readonly operand: Operand } | { readonly kind: '|' | '(' | ')' }

function unquote(text: string): string {
  try {
    return JSON.parse(text) as string
  } catch {
    throw wrong(`text ${text} has an escape that is not known`)
  }
}

function toToken(match: RegExpExecArray): Token {
  const [, quoted, raw, digits, path, name, sign] = match
  const literal = (value: string | number | boolean): Token => ({
    kind: 'operand',
    operand: { kind: 'literal', value },
  })
  if (quoted !== undefined) return literal(unquote(quoted))
  if (raw !== undefined) return literal(raw)
  if (digits !== undefined) return literal(Number(digits))
  if (path !== undefined) {
    const names = path.split('.').filter((part) => part !== '')
    return { kind: 'operand', operand: { kind: 'field', path: names } }
  }
  if (name === 'true' || name === 'false') return literal(name === 'true')
  if (name !== undefined) return { kind: 'operand', operand: { kind: 'function', name } }
  return { kind: sign as '|' | '(' | ')' }
}

function tokenize(text: string): readonly Token[] {
  const source = text.trimEnd()
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex
    const match = TOKEN.exec(source)
    if (match === null) throw wrong(`"${source.slice(at).trim()}" is not understood`)
    tokens.push(toToken(match))
  }
  return tokens
}

/** Reads tokens from `at.index` up to a closing parenthesis or the end. */
function parsePipeline(tokens: readonly Token[], at: { index: number }, depth: number): Pipeline {
  if (depth > MAX_DEPTH) throw wrong('its parentheses are too deep')
  const commands: Operand[][] = [[]]
  for (; at.index < tokens.length; at.index += 1) {
    const token = tokens[at.index]
    if (token === undefined || token.kind === ')') break
    if (token.kind === '|') commands.push([])
    else if (token.kind === 'operand') commands.at(-1)?.push(token.operand)
    else {
      at.index += 1
      const pipeline = parsePipeline(tokens, at, depth + 1)
      if (tokens[at.index]?.kind !== ')') throw wrong('a parenthesis is not closed')
      commands.at(-1)?.push({ kind: 'group', pipeline })
    }
  }
  if (commands.some((command) => command.length === 0)) throw wrong('a command is missing')
  return commands
}

function pipelineOf(text: string): Pipeline {
  const tokens = tokenize(text)
  const at = { index: 0 }
  const pipeline = parsePipeline(tokens, at, 0)
  if (at.index < tokens.length) throw wrong('a parenthesis is closed that was not opened')
  return pipeline
}

type Part = { readonly text: string } | { readonly action: string }

function split(template: string): readonly Part[] {
  const parts: Part[] = []
  let end = 0
  let trims = false
  const addText = (text: string): void => {
    if (text.includes('{{')) throw wrong('"{{" is not closed')
    if (text !== '') parts.push({ text })
  }
  for (const match of template.matchAll(ACTION)) {
    const [whole, inside = ''] = match
    const trimsBefore = /^-\s/.test(inside)
    const trimsAfter = /\s-$/.test(inside)
    const between = template.slice(end, match.index)
    const begun = trims ? between.trimStart() : between
    addText(trimsBefore ? begun.trimEnd() : begun)
    const action = inside.slice(trimsBefore ? 1 : 0, trimsAfter ? -1 : undefined)
    parts.push({ action: action.trim() })
    end = match.index + whole.length
    trims = trimsAfter
  }
  const rest = template.slice(end)
  addText(trims ? rest.trimStart() : rest)
  return parts
}

/** One pass over the parts, one call deeper for each block. */
class BlockReader {
  readonly #parts: readonly Part[]
  #at = 0

  constructor(parts: readonly Part[]) {
    this.#parts = parts
  }

  whole(): readonly TemplateNode[] {
    const { nodes, closing } = this.#nodes(0)
    if (closing !== undefined) throw wrong(`{{${closing}}} without a beginning`)
    return nodes
  }

  /** @returns also the `else …` or `end` that came after them */
  #nodes(depth: number): { nodes: TemplateNode[]; closing: string | undefined } {
    if (depth > MAX_DEPTH) throw wrong('its blocks are too deep')
    const nodes: TemplateNode[] = []
    for (let part = this.#next(); part !== undefined; part = this.#next()) {
      if ('text' in part) nodes.push({ kind: 'text', text: part.text })
      else if (/^(?:end|else)\b/.test(part.action)) return { nodes, closing: part.action }
      else nodes.push(this.#node(part.action, depth))
    }
    return { nodes, closing: undefined }
  }

  #next(): Part | undefined {
    this.#at += 1
    return this.#parts[this.#at - 1]
  }

  #node(action: string, depth: number): TemplateNode {
    const [, word, rest = ''] = /^(if|range)\b(.*)$/s.exec(action) ?? []
    if (word !== 'if' && word !== 'range') return { kind: 'action', pipeline: pipelineOf(action) }
    return { kind: word, pipeline: pipelineOf(rest), ...this.#block(word, depth) }
  }

  #block(word: string, depth: number): Pick<Block, 'body' | 'otherwise'> {
    const { nodes: body, closing } = this.#nodes(depth + 1)
    if (closing === undefined) throw wrong(`{{${word}}} without {{end}}`)
    if (closing === 'end') return { body, otherwise: [] }
    const [, chained] = /^else\s+(if\b.*)$/s.exec(closing) ?? []
    if (chained !== undefined) return { body, otherwise: [this.#node(chained, depth + 1)] }
    const last = this.#nodes(depth + 1)
    if (last.closing !== 'end') throw wrong('{{else}} without {{end}}')
    return { body, otherwise: last.nodes }
  }
}

/** @throws {INVALID_ARGUMENT} for what is no template, or uses more than this of Go's */
export function parseTemplate(template: string): readonly TemplateNode[] {
  return new BlockReader(split(template)).whole()
}
