/** Flow collections (`[a, b]`, `{a: b}`) and quoted text of one line, for the reader of plain YAML. */
import type { Entry, Node } from './node.ts'
import { UNUSUAL } from './plain-yaml-unusual.ts'
import type { Source } from './source.ts'
import { resolvePlainScalar } from './yaml-scalar.ts'

const MAX_DEPTH = 20
const SPACE = 32

export interface FlowText {
  readonly source: Source
  readonly text: string
  /** The end of the line. */
  readonly end: number
}

interface Read<T> {
  readonly node: T
  /** The offset after it. */
  readonly next: number
}

/** Text in quotes; escapes other than `\\`, `\"`, `\n` and `\t` are unusual. */
export function readQuoted(
  text: string,
  at: number,
  end: number,
): { readonly value: string; readonly next: number } {
  const quote = text.charAt(at)
  let value = ''
  let from = at + 1
  for (let index = from; index < end; index++) {
    const char = text.charAt(index)
    if (char === '\\' && quote === '"') {
      value += text.slice(from, index) + escaped(text.charAt(index + 1))
      index++
      from = index + 1
    } else if (char === quote) {
      value += text.slice(from, index)
      if (quote === '"' || text.charAt(index + 1) !== quote) return { value, next: index + 1 }
      index++
      from = index
    }
  }
  throw UNUSUAL
}

function escaped(char: string): string {
  if (char === '\\' || char === '"') return char
  if (char === 'n') return '\n'
  if (char === 't') return '\t'
  throw UNUSUAL
}

/** A flow collection or a scalar within one. */
export function readFlow(flow: FlowText, at: number, depth: number): Read<Node> {
  const { source, text, end } = flow
  const first = text.charAt(at)
  if (depth > MAX_DEPTH || at >= end) throw UNUSUAL
  if (first === '[') return readFlowList(flow, at, depth)
  if (first === '{') return readFlowMap(flow, at, depth)
  if (first === '"' || first === "'") {
    const { value, next } = readQuoted(text, at, end)
    return { node: { kind: 'scalar', source, offset: at, value }, next }
  }
  const next = plainEnd(flow, at)
  const written = text.slice(at, next).trimEnd()
  if (written === '') throw UNUSUAL
  return { node: { kind: 'scalar', source, offset: at, ...resolvePlainScalar(written) }, next }
}

/** Where a plain scalar of a flow collection ends: at a comma or a bracket that closes. */
function plainEnd({ text, end }: FlowText, at: number): number {
  if (
    /[[\]{},#&*!|>%@`?:"'-]/.test(text.charAt(at)) &&
    !/^-[^\s,[\]{}]/.test(text.slice(at, at + 2))
  )
    throw UNUSUAL
  for (let index = at; index < end; index++) {
    const char = text.charAt(index)
    if (char === ',' || char === ']' || char === '}') return index
    if (char === '[' || char === '{') throw UNUSUAL
    if (char === '#' && text.charCodeAt(index - 1) === SPACE) throw UNUSUAL
    if (char === ':' && /[\s,[\]{}]|^$/.test(text.charAt(index + 1))) throw UNUSUAL
  }
  throw UNUSUAL
}

function skipSpaces({ text, end }: FlowText, at: number): number {
  let next = at
  while (next < end && text.charCodeAt(next) === SPACE) next++
  return next
}

/** After an item: past the comma, or at the bracket that closes. */
function afterItem(flow: FlowText, at: number, close: string): number {
  const next = skipSpaces(flow, at)
  const char = flow.text.charAt(next)
  if (next >= flow.end) throw UNUSUAL
  if (char === ',') return skipSpaces(flow, next + 1)
  if (char !== close) throw UNUSUAL
  return next
}

function readFlowList(flow: FlowText, offset: number, depth: number): Read<Node> {
  const { source, text } = flow
  const items: Node[] = []
  let at = skipSpaces(flow, offset + 1)
  while (text.charAt(at) !== ']') {
    const { node, next } = readFlow(flow, at, depth + 1)
    items.push(node)
    at = afterItem(flow, next, ']')
  }
  return { node: { kind: 'list', source, offset, items }, next: at + 1 }
}

function readFlowMap(flow: FlowText, offset: number, depth: number): Read<Node> {
  const { source, text } = flow
  const entries = new Map<string, Entry>()
  let at = skipSpaces(flow, offset + 1)
  while (text.charAt(at) !== '}') {
    const { key, next } = readFlowKey(flow, at)
    const value = readFlow(flow, skipSpaces(flow, next), depth + 1)
    if (entries.has(key) || key === '<<') throw UNUSUAL
    entries.set(key, { source, offset: at, value: value.node })
    at = afterItem(flow, value.next, '}')
  }
  return { node: { kind: 'map', source, offset, entries }, next: at + 1 }
}

function readFlowKey(
  { text, end }: FlowText,
  at: number,
): { readonly key: string; readonly next: number } {
  const first = text.charAt(at)
  if (first === '"' || first === "'") {
    const { value, next } = readQuoted(text, at, end)
    if (text.charAt(next) !== ':') throw UNUSUAL
    return { key: value, next: next + 1 }
  }
  const match = /^([A-Za-z_][A-Za-z0-9_./-]*): /.exec(text.slice(at, end))
  const key = match?.[1]
  if (key === undefined || typeof resolvePlainScalar(key).value !== 'string') throw UNUSUAL
  return { key, next: at + key.length + 1 }
}
