/**
 * Files -> one tree: each document is parsed, interpolated, given what it includes, its services what they extend, and
 * merged over what came before.
 */
import { resolveExtends } from './extends.ts'
import { resolveIncludes } from './include.ts'
import { interpolate } from './interpolate.ts'
import type { Assembly, Layer } from './layer.ts'
import { applyTags, stripTags } from './merge-tags.ts'
import { mergeFiles } from './merge.ts'
import type { MapNode, Node } from './node.ts'
import { mapAt, withoutEntry } from './node.ts'
import type { Source } from './source.ts'

/** All layers as one tree; undefined when they are empty. */
export function assemble(layers: readonly Layer[], assembly: Assembly): MapNode | undefined {
  const { diagnostics } = assembly.session
  let merged: MapNode | undefined
  for (const { source, document } of layers) {
    if (document.kind !== 'map') {
      diagnostics.error(document, 'top-level object must be a mapping', {
        expected: 'a map of services, networks, volumes, configs, secrets',
        suggestion: 'begin with services:',
      })
      continue
    }
    const before: Node = merged ?? mapAt(document, new Map())
    const layer = completeLayer(source, document, assembly)
    const next = mergeFiles(applyTags(before, layer.tagged), layer.node, diagnostics)
    merged = next.kind === 'map' ? next : merged
  }
  return merged
}

interface CompleteLayer {
  /** As written, with its tags. */
  readonly tagged: MapNode
  readonly node: Node
}

function completeLayer(source: Source, document: MapNode, assembly: Assembly): CompleteLayer {
  const { session } = assembly
  const { budget, diagnostics } = session
  const options = { lookup: source.lookup, budget, diagnostics }
  const written = session.interpolate ? interpolate(document, options) : document
  const tagged = written.kind === 'map' ? written : document
  const included = resolveIncludes(tagged, source, assembly)
  const own = withoutEntry(tagged, 'include')
  const full = included === undefined ? own : underneath(included, own, assembly)
  return {
    tagged: own,
    node: stripTags(resolveExtends(full, source, session)) ?? mapAt(own, new Map()),
  }
}

/** The document over what it includes; the tags of its services stay, for what they extend. */
function underneath(included: MapNode, own: MapNode, { session }: Assembly): MapNode {
  const merged = mergeFiles(applyTags(included, own), own, session.diagnostics)
  return merged.kind === 'map'
    ? { ...merged, ...(own.tagged === true ? { tagged: true } : {}) }
    : own
}
