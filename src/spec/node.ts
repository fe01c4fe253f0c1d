/**
 * The tree that a stack file becomes and that every phase before the canonical form works on. Each node knows the
 * source and the offset that it was written at, so positions survive interpolation, merge, extends and include by
 * construction. Nodes are never changed once made: aliases share them.
 */
import type { Scalar } from './stack.ts'
import type { Source } from './source.ts'

/** `!reset` drops what was there before, and itself; `!override` drops what was there before. */
export type MergeTag = 'reset' | 'override'

interface NodeBase {
  readonly source: Source
  readonly offset: number
  readonly tag?: MergeTag
  /** True when this node or one below it carries a merge tag. */
  readonly tagged?: boolean
}

export interface ScalarNode extends NodeBase {
  readonly kind: 'scalar'
  readonly value: Scalar
  /** How the value reads as text, where that is not `String(value)`: floats and large integers read as Go prints them. */
  readonly text?: string
}

export interface ListNode extends NodeBase {
  readonly kind: 'list'
  readonly items: readonly Node[]
}

/** A value under its key; the place is the key's. */
export interface Entry {
  readonly source: Source
  readonly offset: number
  readonly value: Node
}

export interface MapNode extends NodeBase {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, Entry>
}

export type Node = ScalarNode | ListNode | MapNode

/** Where something was written: a node, or the key of an entry. */
export interface Place {
  readonly source: Source
  readonly offset: number
}

export type Path = readonly (string | number)[]

/** `services.web.ports[0]`. */
export function formatPath(path: Path): string {
  let text = ''
  for (const segment of path) {
    if (typeof segment === 'number') text += `[${String(segment)}]`
    else text += text === '' ? segment : `.${segment}`
  }
  return text
}

/** A scalar that stands where another node was written. */
export function scalarAt(place: Place, value: Scalar): ScalarNode {
  return { kind: 'scalar', source: place.source, offset: place.offset, value }
}

/** A map with the given entries, written where `place` was. */
export function mapAt(place: Place, entries: ReadonlyMap<string, Entry>): MapNode {
  return { kind: 'map', source: place.source, offset: place.offset, entries }
}

/** A list with the given items, written where `place` was. */
export function listAt(place: Place, items: readonly Node[]): ListNode {
  return { kind: 'list', source: place.source, offset: place.offset, items }
}

/** The value under a key; undefined when the node is no map or lacks the key. */
export function child(node: Node | undefined, key: string): Node | undefined {
  return node?.kind === 'map' ? node.entries.get(key)?.value : undefined
}

/** A map with one entry set, in its place if it was there. */
export function withEntry(map: MapNode, key: string, entry: Entry): MapNode {
  return { ...map, entries: new Map(map.entries).set(key, entry) }
}

/** A map without a key. */
export function withoutEntry(map: MapNode, key: string): MapNode {
  const entries = new Map(map.entries)
  entries.delete(key)
  return { ...map, entries }
}

export function isNull(node: Node): boolean {
  return node.kind === 'scalar' && node.value === null
}

/** A scalar as text, as Go's `%v` gives it; null is the empty text. */
export function scalarText(node: ScalarNode): string {
  return node.text ?? (node.value === null ? '' : String(node.value))
}

/** The node as plain values. */
export function toPlain(node: Node): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value
    case 'list':
      return node.items.map(toPlain)
    case 'map': {
      const plain: Record<string, unknown> = {}
      for (const [key, entry] of node.entries) setOwn(plain, key, toPlain(entry.value))
      return plain
    }
  }
}

/** Sets a property, `__proto__` too, as an ordinary one. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') target[key] = value
  else {
    const descriptor = { value, writable: true, enumerable: true, configurable: true }
    Object.defineProperty(target, key, descriptor)
  }
}

/**
 * The place of a path of the canonical model in the tree as written, as deep as it can be followed: a key that meets a
 * list finds the item that begins with it or has it as source or target.
 */
export function locate(root: Node, path: Path): Place {
  let place: Place = root
  let node = root
  for (const segment of path) {
    const next = step(node, segment)
    if (next === undefined) break
    ;({ place, node } = next)
  }
  return place
}

function step(node: Node, segment: string | number): { place: Place; node: Node } | undefined {
  if (node.kind === 'map') {
    const entry = node.entries.get(String(segment))
    if (entry === undefined) return undefined
    const atKey = entry.value.kind === 'map' || isNull(entry.value)
    return { place: atKey ? entry : entry.value, node: entry.value }
  }
  if (node.kind !== 'list') return undefined
  const item =
    typeof segment === 'number'
      ? node.items[segment]
      : node.items.find((candidate) => isAbout(candidate, segment))
  return item === undefined ? undefined : { place: item, node: item }
}

function isAbout(node: Node, name: string): boolean {
  if (node.kind === 'scalar') {
    const text = scalarText(node)
    return text === name || (text.startsWith(name) && /^[=:]/.test(text.slice(name.length)))
  }
  return ['source', 'target', 'path'].some((key) => {
    const value = child(node, key)
    return value?.kind === 'scalar' && value.value === name
  })
}
