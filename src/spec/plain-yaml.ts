/**
 * Reads the YAML that stack files are mostly written in, in one pass and without a syntax tree: block maps and lists, text
 * of one line (plain or quoted), literal blocks, flow collections of one line, anchors, aliases and `<<`. Anything else
 * (and any mistake) it does not touch: the caller then uses the YAML library, which knows all of YAML and says what is
 * wrong. A test holds the two against each other. It is about ten times as fast, which is what makes large stacks load
 * at once.
 */
import type { Entry, Node, ScalarNode } from './node.ts'
import { readFlow, readQuoted } from './plain-yaml-flow.ts'
import { UNUSUAL } from './plain-yaml-unusual.ts'
import type { Source } from './source.ts'
import { resolvePlainScalar } from './yaml-scalar.ts'

const MAX_DEPTH = 50
/** More than this is for the library to weigh. */
const MAX_ALIASED_NODES = 20_000
/** Tabs, carriage returns and other control characters, byte order marks. */
// eslint-disable-next-line no-control-regex -- that is what is looked for
const ODD_CHARACTER = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\ufeff]/
const SPACE = 32
const HASH = 35
const HYPHEN = 45
const COLON = 58

interface Anchored {
  readonly node: Node
  readonly size: number
}

interface Reading {
  readonly source: Source
  readonly text: string
  /** Of each line that is not blank and no comment: where its content starts, where the line ends, its indentation. */
  readonly starts: number[]
  readonly ends: number[]
  readonly indents: number[]
  readonly anchors: Map<string, Anchored>
  line: number
  written: number
  aliased: number
}

/** The document of a source, null when it is empty; undefined when it is not for this reader. */
export function readPlainYaml(source: Source): Node | null | undefined {
  const { text } = source
  if (ODD_CHARACTER.test(text)) return undefined
  const reading: Reading = {
    source,
    text,
    starts: [],
    ends: [],
    indents: [],
    anchors: new Map(),
    line: 0,
    written: 0,
    aliased: 0,
  }
  try {
    splitLines(reading)
    if (reading.starts.length === 0) return null
    const node = readBlock(reading, reading.indents[0] ?? 0, 0)
    return reading.line === reading.starts.length && node.kind !== 'scalar' ? node : undefined
  } catch (error) {
    if (error === UNUSUAL) return undefined
    throw error
  }
}

function splitLines({ text, starts, ends, indents }: Reading): void {
  for (let from = 0; from < text.length;) {
    const newline = text.indexOf('\n', from)
    const end = newline === -1 ? text.length : newline
    let start = from
    while (start < end && text.charCodeAt(start) === SPACE) start++
    if (start < end) {
      const isMarker = start === from && /^(?:---|\.\.\.|%)/.test(text.slice(start, start + 3))
      if (isMarker) throw UNUSUAL
      starts.push(start)
      ends.push(end)
      indents.push(start - from)
    }
    from = end + 1
  }
}

/** Moves over lines that are comments. */
function skipComments(reading: Reading): void {
  const { starts, text } = reading
  while (reading.line < starts.length && text.charCodeAt(starts[reading.line] ?? 0) === HASH)
    reading.line++
}

/** The indentation of the next line with content; -1 at the end. */
function nextIndent(reading: Reading): number {
  skipComments(reading)
  return reading.indents[reading.line] ?? -1
}

function isListItem({ text, starts, ends, line }: Reading): boolean {
  const start = starts[line] ?? 0
  if (text.charCodeAt(start) !== HYPHEN) return false
  return start + 1 === ends[line] || text.charCodeAt(start + 1) === SPACE
}

function readBlock(reading: Reading, indent: number, depth: number): Node {
  if (depth > MAX_DEPTH || nextIndent(reading) !== indent) throw UNUSUAL
  return isListItem(reading) ? readList(reading, indent, depth) : readMap(reading, indent, depth)
}

function readList(reading: Reading, indent: number, depth: number): Node {
  const { source, text, starts, ends, indents } = reading
  const offset = starts[reading.line] ?? 0
  const items: Node[] = []
  reading.written++
  while (nextIndent(reading) === indent && isListItem(reading)) {
    const { line } = reading
    const end = ends[line] ?? 0
    let at = (starts[line] ?? 0) + 1
    while (at < end && text.charCodeAt(at) === SPACE) at++
    const isNested = at < end && text.charCodeAt(at) !== HASH && keyEnd(text, at, end) !== -1
    if (isNested) {
      // The map begins on the line of the hyphen: what stands before its first key counts as indentation.
      indents[line] = indent + at - (starts[line] ?? 0)
      starts[line] = at
      items.push(readMap(reading, indents[line], depth + 1))
    } else items.push(readValue(reading, { at, indent, depth, inList: true }))
  }
  if (nextIndent(reading) > indent) throw UNUSUAL
  return { kind: 'list', source, offset, items }
}

function readMap(reading: Reading, indent: number, depth: number): Node {
  const { source, text, starts, ends } = reading
  if (depth > MAX_DEPTH) throw UNUSUAL
  const offset = starts[reading.line] ?? 0
  const entries = new Map<string, Entry>()
  const fragments: Node[] = []
  reading.written++
  while (nextIndent(reading) === indent && !isListItem(reading)) {
    const start = starts[reading.line] ?? 0
    const end = ends[reading.line] ?? 0
    const colon = keyEnd(text, start, end)
    if (colon === -1) throw UNUSUAL
    const isMerge = colon === start + 2 && text.startsWith('<<', start)
    const key = isMerge ? '<<' : readKey(text, start, colon)
    let at = colon + 1
    while (at < end && text.charCodeAt(at) === SPACE) at++
    reading.written++
    const value = readValue(reading, { at, indent, depth, inList: false })
    if (isMerge) fragments.push(value)
    else if (entries.has(key)) throw UNUSUAL
    else entries.set(key, { source, offset: start, value })
  }
  if (nextIndent(reading) > indent) throw UNUSUAL
  const all = fragments.length === 0 ? entries : withFragments(entries, fragments)
  return { kind: 'map', source, offset, entries: all }
}

function withFragments(
  own: ReadonlyMap<string, Entry>,
  fragments: readonly Node[],
): Map<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const fragment of fragments.flatMap((one) => (one.kind === 'list' ? one.items : [one]))) {
    if (fragment.kind !== 'map') throw UNUSUAL
    for (const [key, entry] of fragment.entries) {
      if (!own.has(key) && !entries.has(key)) entries.set(key, entry)
    }
  }
  for (const [key, entry] of own) entries.set(key, entry)
  return entries
}

/** Where the colon after a key is, if a key begins here. It looks no further than the line: files can be long. */
function keyEnd(text: string, start: number, end: number): number {
  const line = text.slice(start, end)
  const first = line.charAt(0)
  if (first === '"' || first === "'") {
    const close = line.indexOf(first, 1)
    return close !== -1 && isKeyColon(line, close + 1) ? start + close + 1 : -1
  }
  if (/^[[\]{},#&*!|>%@`]/.test(line)) return -1
  const colon = /:(?: |$)/.exec(line)?.index ?? -1
  const comment = line.indexOf(' #')
  return colon === -1 || (comment !== -1 && comment < colon) ? -1 : start + colon
}

function isKeyColon(line: string, at: number): boolean {
  if (line.charCodeAt(at) !== COLON) return false
  return at + 1 === line.length || line.charCodeAt(at + 1) === SPACE
}

function readKey(text: string, start: number, colon: number): string {
  const first = text.charAt(start)
  const written = text.slice(start, colon)
  if (first === '"' || first === "'") {
    if (written.includes('\\') || colon - start < 2) throw UNUSUAL
    return written.slice(1, -1)
  }
  if (/^[?:-](?: |$)/.test(written) || written.endsWith(' ')) throw UNUSUAL
  // A key that is a number or a boolean is a mistake, which the library's path tells of.
  if (typeof resolvePlainScalar(written).value !== 'string') throw UNUSUAL
  return written
}

interface ValuePlace {
  readonly at: number
  readonly indent: number
  readonly depth: number
  readonly inList: boolean
}

/** The value after a key or a hyphen: on the same line, or the block below. */
function readValue(reading: Reading, place: ValuePlace): Node {
  const { text, ends, source } = reading
  const end = ends[reading.line] ?? 0
  const { at } = place
  const first = at < end ? text.charAt(at) : '#'
  if (first === '&') return readAnchored(reading, place)
  if (first === '#') {
    if (at < end && text.charCodeAt(at - 1) !== SPACE) throw UNUSUAL
    reading.line++
    return readBelow(reading, place) ?? { kind: 'scalar', source, offset: at, value: null }
  }
  if (first === '|') return readLiteral(reading, place)
  const node = first === '*' ? readAlias(reading, at, end) : readInline(reading, at, end)
  reading.line++
  // Text that goes on in the next line.
  if (nextIndent(reading) > place.indent) throw UNUSUAL
  return node
}

function readBelow(reading: Reading, { indent, depth, inList }: ValuePlace): Node | undefined {
  const next = nextIndent(reading)
  if (next > indent) return readBlock(reading, next, depth + 1)
  if (next === indent && !inList && isListItem(reading)) return readList(reading, indent, depth + 1)
  return undefined
}

function readAnchored(reading: Reading, place: ValuePlace): Node {
  const { text, ends } = reading
  const end = ends[reading.line] ?? 0
  const name = /^&([A-Za-z0-9_-]+)(?= |$)/.exec(text.slice(place.at, end))?.[1]
  if (name === undefined) throw UNUSUAL
  let at = place.at + 1 + name.length
  while (at < end && text.charCodeAt(at) === SPACE) at++
  // `- &a key: value`: what the anchor belongs to is for the library to say; and that `&a *b` is an error.
  if ('&*'.includes(text.charAt(at) || ' ') || (at < end && keyEnd(text, at, end) !== -1))
    throw UNUSUAL
  const before = reading.written + reading.aliased
  const node = readValue(reading, { ...place, at })
  reading.anchors.set(name, { node, size: reading.written + reading.aliased - before + 1 })
  return node
}

function readAlias(reading: Reading, at: number, end: number): Node {
  const match = /^\*([A-Za-z0-9_-]+) *(?: #.*)?$/.exec(reading.text.slice(at, end))
  const target = reading.anchors.get(match?.[1] ?? '')
  if (target === undefined) throw UNUSUAL
  reading.aliased += target.size
  if (reading.aliased > MAX_ALIASED_NODES) throw UNUSUAL
  return target.node
}

function readInline(reading: Reading, at: number, end: number): Node {
  const { source, text } = reading
  const first = text.charAt(at)
  reading.written++
  if (first === '"' || first === "'") {
    const { value, next } = readQuoted(text, at, end)
    if (!isRestBlank(text, next, end)) throw UNUSUAL
    return { kind: 'scalar', source, offset: at, value }
  }
  if (first === '[' || first === '{') {
    const { node, next } = readFlow({ source, text, end }, at, 0)
    if (!isRestBlank(text, next, end)) throw UNUSUAL
    return node
  }
  return readPlain(source, text, { at, end })
}

function isRestBlank(text: string, at: number, end: number): boolean {
  return /^(?: *$| +#)/.test(text.slice(at, end))
}

function readPlain(
  source: Source,
  text: string,
  { at, end }: { readonly at: number; readonly end: number },
): ScalarNode {
  const line = text.slice(at, end)
  if (/^(?:[\]},#&*!|>%@`]|[?:-](?: |$))/.test(line)) throw UNUSUAL
  const comment = line.indexOf(' #')
  const written = withoutSpaces(comment === -1 ? line : line.slice(0, comment))
  if (written.includes(': ') || written.endsWith(':')) throw UNUSUAL
  return { kind: 'scalar', source, offset: at, ...resolvePlainScalar(written) }
}

/** Without the spaces at its end; other white space is text. */
function withoutSpaces(text: string): string {
  let end = text.length
  while (end > 0 && text.charCodeAt(end - 1) === SPACE) end--
  return text.slice(0, end)
}

/** `|` and `|-`: the lines below as they are, without their common indentation. */
function readLiteral(reading: Reading, { at, indent }: ValuePlace): ScalarNode {
  const { text, ends, source } = reading
  const end = ends[reading.line] ?? 0
  const header = text.slice(at, end)
  if (header !== '|' && header !== '|-') throw UNUSUAL
  reading.line++
  const own = reading.indents[reading.line] ?? -1
  if (own <= indent) throw UNUSUAL
  const first = (reading.starts[reading.line] ?? 0) - own
  let last = reading.line
  while ((reading.indents[last] ?? -1) >= own) last++
  // Spaces on the lines before and after may count as content; a line that is indented less, but more than the key, is a
  // mistake or an odd comment.
  const after = reading.indents[last] ?? -1
  const stop = ends[last - 1] ?? 0
  const next = last < ends.length ? (reading.starts[last] ?? 0) - after : text.length
  const around = text.slice(end, first) + text.slice(stop, next)
  if (after > indent || around.includes(' ')) throw UNUSUAL
  const lines = text.slice(first, stop).split('\n')
  const leading = text.slice(end + 1, first).split('\n').length - 1
  const body = '\n'.repeat(leading) + lines.map((line) => line.slice(own)).join('\n')
  reading.line = last
  reading.written++
  return { kind: 'scalar', source, offset: at, value: header === '|' ? `${body}\n` : body }
}
