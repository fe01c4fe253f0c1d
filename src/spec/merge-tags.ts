/**
 * `!reset` and `!override`: what the tags of a layer take away from what was merged before, and the layer without them.
 * A reset value contributes nothing; an overriding one stands alone.
 */
import type { Entry, MapNode, Node } from './node.ts'
import { scalarText } from './node.ts'

/** `base` without what the tags of `layer` say is to go. */
export function applyTags(base: Node, layer: Node): Node {
  if (layer.tagged !== true || layer.kind !== 'map') return base
  if (base.kind === 'list') return withoutTaggedItems(base, layer)
  if (base.kind !== 'map') return base
  const entries = new Map(base.entries)
  for (const [key, entry] of layer.entries) {
    const before = entries.get(key)
    if (before === undefined || entry.value.tagged !== true) continue
    if (entry.value.tag !== undefined) entries.delete(key)
    else entries.set(key, { ...before, value: applyTags(before.value, entry.value) })
  }
  return { ...base, entries }
}

/** A list `["A=1"]` under a map `A: !reset null`: its items named by a tagged key go. */
function withoutTaggedItems(base: Extract<Node, { kind: 'list' }>, layer: MapNode): Node {
  const items = base.items.filter((item) => {
    if (item.kind !== 'scalar') return true
    const name = scalarText(item).split('=', 1)[0] ?? ''
    return layer.entries.get(name)?.value.tag === undefined
  })
  return { ...base, items }
}

/** The layer as it is merged: reset values gone, the tags of overriding ones off. Undefined when nothing is left. */
export function stripTags(node: Node): Node | undefined {
  if (node.tagged !== true) return node
  if (node.tag === 'reset') return undefined
  const { kind, source, offset } = node
  if (kind === 'scalar') {
    const { value, text } = node
    return { kind, source, offset, value, ...(text === undefined ? {} : { text }) }
  }
  if (kind === 'list') {
    const items = node.items.flatMap((item) => stripTags(item) ?? [])
    return { kind, source, offset, items }
  }
  const entries = new Map<string, Entry>()
  for (const [key, entry] of node.entries) {
    const value = stripTags(entry.value)
    if (value !== undefined) entries.set(key, { ...entry, value })
  }
  return { kind, source, offset, entries }
}
