/**
 * YAML text -> trees with positions. YAML 1.2 (https://yaml.org/spec/1.2.2/) with go-yaml's reading of plain scalars,
 * aliases, `<<` merge keys, and the tags `!reset` and `!override`. A file may hold several documents.
 *
 * The text is hostile: its size, the depth, and what aliases may blow it up to are bounded.
 */
import { isAlias, isMap, isPair, isScalar, isSeq } from 'yaml'
import type { Document, Node as YamlNode, Pair, Scalar as YamlScalar, YAMLMap, YAMLSeq } from 'yaml'
import type { Diagnostics } from './diagnostics.ts'
import type { Entry, ListNode, MapNode, MergeTag, Node, Place, ScalarNode } from './node.ts'
import { readPlainYaml } from './plain-yaml.ts'
import { positionOf } from './source.ts'
import type { Source } from './source.ts'
import { yamlDocuments } from './yaml-documents.ts'
import { resolvePlainScalar } from './yaml-scalar.ts'

const MAX_TEXT = 16 << 20
const MAX_DEPTH = 200
/** How many nodes the aliases of a document may stand for, beside ten times what is written out. */
const MAX_ALIASED_NODES = 100_000
const ALIASED_PER_NODE = 10
const MAX_SYNTAX_ERRORS = 10

/** Tags that say how a scalar is to be read, whatever quotes it has. */
const TYPE_TAGS = new Set(['!!int', '!!float', '!!bool', '!!null'])

interface Anchored {
  readonly node: Node
  readonly size: number
}

interface Composition {
  readonly source: Source
  readonly diagnostics: Diagnostics
  readonly anchors: Map<string, Anchored | undefined>
  written: number
  aliased: number
  refused: boolean
}

/** The documents of a source; empty ones are left out. What is wrong with it goes to `diagnostics`. */
export function parseSource(source: Source, diagnostics: Diagnostics): Node[] {
  if (source.text.length > MAX_TEXT) {
    diagnostics.error({ source, offset: 0 }, 'the file is too large', {
      expected: 'at most 16 MiB',
    })
    return []
  }
  const plain = readPlainYaml(source)
  if (plain !== undefined) return plain === null ? [] : [plain]
  return parseWithLibrary(source, diagnostics)
}

/** As `parseSource()`, by the YAML library: all of YAML, and what is wrong. */
export function parseWithLibrary(source: Source, diagnostics: Diagnostics): Node[] {
  return composeDocuments(source, diagnostics).flatMap((document) => {
    if (reportSyntax(document, source, diagnostics) || document.contents === null) return []
    const composition: Composition = {
      source,
      diagnostics,
      anchors: new Map(),
      written: 0,
      aliased: 0,
      refused: false,
    }
    const root = convert(document.contents, composition, 0)
    return root.kind === 'scalar' && root.value === null ? [] : [root]
  })
}

function composeDocuments(source: Source, diagnostics: Diagnostics): readonly Document[] {
  const start = { source, offset: 0 }
  try {
    const { documents, refused } = yamlDocuments(source.text)
    if (refused === undefined) return documents
    diagnostics.error(start, `the file is too large: ${refused}`, {
      expected: 'a stack file that people can read',
      suggestion: 'split it with include',
    })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    diagnostics.error(start, 'the YAML is nested too deeply', {
      expected: `at most ${String(MAX_DEPTH)} levels`,
      suggestion: 'flatten it',
    })
  }
  return []
}

function reportSyntax(document: Document, source: Source, diagnostics: Diagnostics): boolean {
  for (const error of document.errors.slice(0, MAX_SYNTAX_ERRORS)) {
    const offset = offsetOf(error, source.text)
    const hasTab = /^[ ]*\t/.test(lineAround(source.text, offset))
    const advice = hasTab ? TAB : /quote/.test(error.message) ? QUOTE : SYNTAX
    diagnostics.error({ source, offset }, `YAML syntax: ${error.message}`, advice)
  }
  return document.errors.length > 0
}

const TAB = { expected: 'indentation by spaces', suggestion: 'replace the tab by spaces' }
const QUOTE = { expected: 'a closing quote', suggestion: 'close the quote that begins here' }
const SYNTAX = {
  expected: 'YAML 1.2',
  suggestion:
    'compare the indentation with the lines above, and quote text that has ": " or " #" in it',
}

/** Where a mistake is seen: at the quote that is not closed, at the text of a line rather than its margin. */
function offsetOf(
  error: { readonly pos: [number, number]; readonly message: string },
  text: string,
): number {
  const offset = Math.min(error.pos[0], text.length)
  const quote = /^Missing closing (["'])/.exec(error.message)?.[1]
  if (quote !== undefined) return Math.max(0, text.lastIndexOf(quote, offset))
  const isMargin = offset === 0 || text[offset - 1] === '\n'
  const margin = isMargin ? /^ */.exec(text.slice(offset, offset + 200))?.[0].length : 0
  return offset + (margin ?? 0)
}

function lineAround(text: string, offset: number): string {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const end = text.indexOf('\n', offset)
  return text.slice(start, end === -1 ? text.length : end)
}

function convert(yaml: YamlNode, composition: Composition, depth: number): Node {
  const { source } = composition
  const offset = yaml.range?.[0] ?? 0
  composition.written++
  if (depth > MAX_DEPTH) return refuse(composition, offset, 'the YAML is nested too deeply')
  if (isAlias(yaml)) return resolveAlias(yaml.source, offset, composition)
  const { anchor } = yaml as { anchor?: string }
  if (anchor !== undefined) composition.anchors.set(anchor, undefined)
  const before = composition.written + composition.aliased
  const node = isMap(yaml)
    ? convertMap(yaml, composition, depth)
    : isSeq(yaml)
      ? convertList(yaml, composition, depth)
      : isScalar(yaml)
        ? convertScalar(yaml, source, offset)
        : scalar(source, offset, null)
  const tagged = withTag(node, yaml.tag)
  if (anchor !== undefined) {
    const size = composition.written + composition.aliased - before + 1
    composition.anchors.set(anchor, { node: tagged, size })
  }
  return tagged
}

function scalar(source: Source, offset: number, value: ScalarNode['value']): ScalarNode {
  return { kind: 'scalar', source, offset, value }
}

function withTag(node: Node, tag: string | undefined): Node {
  const name: MergeTag | undefined =
    tag === '!reset' ? 'reset' : tag === '!override' ? 'override' : undefined
  return name === undefined ? node : { ...node, tag: name, tagged: true }
}

/** Tells once that a bound is passed; what follows is made nothing of, so that it ends soon. */
function refuse(composition: Composition, offset: number, message: string): ScalarNode {
  const place = { source: composition.source, offset }
  if (!composition.refused) {
    composition.diagnostics.error(place, message, {
      expected: `at most ${String(MAX_DEPTH)} levels, and ${String(MAX_ALIASED_NODES)} nodes by aliases`,
      suggestion: 'refer to fewer or to smaller anchors',
    })
  }
  composition.refused = true
  return scalar(composition.source, offset, null)
}

function resolveAlias(name: string, offset: number, composition: Composition): Node {
  const { anchors, diagnostics, source } = composition
  const target = anchors.get(name)
  if (target === undefined) {
    const message = anchors.has(name)
      ? `the anchor "${name}" contains itself`
      : `unknown anchor "${name}"`
    diagnostics.error({ source, offset }, message, {
      expected: 'the name of an anchor that stands before',
      suggestion: `write &${name} before the value that is meant`,
    })
    return scalar(source, offset, null)
  }
  composition.aliased += target.size
  const limit = MAX_ALIASED_NODES + ALIASED_PER_NODE * composition.written
  if (composition.aliased > limit) {
    return refuse(composition, offset, 'the aliases expand to too large a document: resource limit')
  }
  return target.node
}

function convertScalar(yaml: YamlScalar, source: Source, offset: number): ScalarNode {
  const text = typeof yaml.value === 'string' ? yaml.value : ''
  if (yaml.tag === '!!binary' || yaml.tag === 'tag:yaml.org,2002:binary') {
    return scalar(source, offset, atob(text.replace(/\s/g, '')))
  }
  const tag = yaml.tag?.replace('tag:yaml.org,2002:', '!!')
  const isPlain = tag === undefined || tag === '!reset' || tag === '!override'
  if ((isPlain && yaml.type === 'PLAIN') || (tag !== undefined && TYPE_TAGS.has(tag))) {
    return { kind: 'scalar', source, offset, ...resolvePlainScalar(text) }
  }
  return scalar(source, offset, text)
}

function convertList(yaml: YAMLSeq, composition: Composition, depth: number): ListNode {
  const { source } = composition
  const items: Node[] = []
  for (const item of yaml.items as (YamlNode | Pair)[]) {
    if (composition.refused) break
    if (isPair(item)) continue
    const node = convert(item, composition, depth + 1)
    items.push(node)
  }
  const list: ListNode = { kind: 'list', source, offset: yaml.range?.[0] ?? 0, items }
  return items.some((item) => item.tagged === true) ? { ...list, tagged: true } : list
}

function convertMap(yaml: YAMLMap, composition: Composition, depth: number): MapNode {
  const { source } = composition
  const entries = new Map<string, Entry>()
  const merged: Fragment[] = []
  let tagged = false
  for (const pair of yaml.items as Pair<YamlNode, YamlNode | null>[]) {
    if (composition.refused) break
    const offset = pair.key.range?.[0] ?? 0
    const value =
      pair.value === null
        ? scalar(source, offset, null)
        : convert(pair.value, composition, depth + 1)
    if (isMergeKey(pair.key)) {
      merged.push({ value, place: { source, offset } })
      continue
    }
    const key = readKey(pair.key, composition)
    if (key === undefined) continue
    if (entries.has(key)) reportDuplicate(key, { source, offset }, entries.get(key), composition)
    entries.set(key, { source, offset, value })
    tagged ||= value.tagged === true
  }
  const map: MapNode = { kind: 'map', source, offset: yaml.range?.[0] ?? 0, entries }
  const full = merged.length === 0 ? map : mergeKeys(map, merged, composition)
  return tagged ? { ...full, tagged: true } : full
}

function isMergeKey(key: YamlNode): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.value === '<<'
}

function readKey(yaml: YamlNode, composition: Composition): string | undefined {
  const { source, diagnostics } = composition
  const node = convert(yaml, composition, 0)
  if (node.kind === 'scalar' && typeof node.value === 'string') return node.value
  const shown = node.kind === 'scalar' ? String(node.value) : `a ${node.kind}`
  diagnostics.error({ source, offset: yaml.range?.[0] ?? 0 }, `non-string key: ${shown}`, {
    expected: 'a key that is text',
    suggestion: node.kind === 'scalar' ? `quote it: "${shown}"` : 'write a name for it',
  })
  return undefined
}

function reportDuplicate(
  key: string,
  place: Place,
  first: Entry | undefined,
  composition: Composition,
): void {
  const { line } = positionOf(composition.source, first?.offset ?? 0)
  composition.diagnostics.error(
    place,
    `mapping key "${key}" already defined at line ${String(line)}`,
    {
      expected: 'each key once',
      suggestion: 'put what belongs together under one key, or remove one of them',
    },
  )
}

/** What a `<<` names, and where it stands. */
interface Fragment {
  readonly value: Node
  readonly place: Place
}

/** `<<`: the keys of the fragments that the map itself lacks; nested values are not merged. */
function mergeKeys(
  map: MapNode,
  fragments: readonly Fragment[],
  composition: Composition,
): MapNode {
  const entries = new Map<string, Entry>()
  const taken: Node[] = []
  const take = (fragment: Node, place: Place): void => {
    if (fragment.kind !== 'map') {
      const isMissing = fragment.kind === 'scalar' && fragment.value === null
      if (isMissing) return
      composition.diagnostics.error(place, 'cannot merge with "<<": the value is no map', {
        expected: 'a map, or a list of maps',
        suggestion: 'write an alias of a map, such as *defaults',
      })
      return
    }
    taken.push(fragment)
    for (const [key, entry] of fragment.entries) {
      if (!map.entries.has(key) && !entries.has(key)) entries.set(key, entry)
    }
  }
  for (const { value, place } of fragments) {
    for (const fragment of value.kind === 'list' ? value.items : [value]) take(fragment, place)
  }
  for (const [key, entry] of map.entries) entries.set(key, entry)
  const full: MapNode = { ...map, entries }
  return taken.some((fragment) => fragment.tagged === true) ? { ...full, tagged: true } : full
}
