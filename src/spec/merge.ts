/**
 * Merging of one layer over another: several files, the documents of one, `include` and `extends` (compose-spec
 * 13-merge.md). Maps merge, scalars are replaced, lists are appended; what differs from that is in one table.
 */
import type { Diagnostics } from './diagnostics.ts'
import { child, formatPath, isNull, listAt, mapAt, scalarAt, scalarText } from './node.ts'
import type { Entry, ListNode, MapNode, Node, Path } from './node.ts'
import { below, pathTable } from './path-table.ts'
import type { PathTable } from './path-table.ts'

type Rule =
  | 'replace'
  | 'pairs'
  | 'text-list'
  | 'hosts'
  | 'names'
  | 'dependencies'
  | 'build'
  | 'logging'
  | 'ipam'

const RULES = pathTable<Rule>([
  [
    'services.*.command services.*.entrypoint services.*.healthcheck.test services.*.ulimits.*',
    'replace',
  ],
  [
    `services.*.environment services.*.labels services.*.annotations services.*.sysctls services.*.build.args
     services.*.build.labels services.*.build.additional_contexts services.*.deploy.labels
     services.*.volumes.*.volume.labels networks.*.labels volumes.*.labels configs.*.labels secrets.*.labels
     services.*.build.ssh`,
    'pairs',
  ],
  [
    `services.*.dns services.*.dns_search services.*.dns_opt services.*.tmpfs services.*.env_file
     services.*.label_file services.*.build.no_cache_filter`,
    'text-list',
  ],
  ['services.*.extra_hosts services.*.build.extra_hosts', 'hosts'],
  ['services.*.networks services.*.models', 'names'],
  ['services.*.depends_on', 'dependencies'],
  ['services.*.build', 'build'],
  ['services.*.logging', 'logging'],
  ['networks.*.ipam.config', 'ipam'],
])

interface Merging {
  readonly rules: PathTable<Rule> | undefined
  readonly path: Path
  readonly diagnostics: Diagnostics
}

/** `layer` over `base`; both are whole files. */
export function mergeFiles(base: Node, layer: Node, diagnostics: Diagnostics): Node {
  return merge(base, layer, { rules: RULES, path: [], diagnostics })
}

/** `service` over the one that it extends. */
export function mergeServices(
  base: Node,
  service: Node,
  options: { readonly name: string; readonly diagnostics: Diagnostics },
): Node {
  const { name, diagnostics } = options
  const rules = below(below(RULES, 'services'), name)
  return merge(base, service, { rules, path: ['services', name], diagnostics })
}

function merge(base: Node, layer: Node, merging: Merging): Node {
  if (isNull(layer)) return base
  if (isNull(base)) return layer
  const merged = mergeByRule(base, layer, merging)
  const tagged = base.tagged === true || layer.tagged === true
  return tagged && merged.tagged !== true ? { ...merged, tagged: true } : merged
}

function mergeByRule(base: Node, layer: Node, merging: Merging): Node {
  switch (merging.rules?.rule) {
    case 'replace':
      return layer
    case 'pairs':
      return mergePairs(base, layer, merging)
    case 'text-list':
      return mergeLists(asList(base), asList(layer), merging)
    case 'hosts':
      return mergeHosts(base, layer, merging)
    case 'names':
      return mergeDefault(asNames(base), asNames(layer), merging)
    case 'dependencies':
      return mergeDefault(asDependencies(base), asDependencies(layer), merging)
    case 'build':
      return mergeDefault(asBuild(base), asBuild(layer), merging)
    case 'logging':
      return mergeLogging(base, layer, merging)
    case 'ipam':
      return mergeIpam(base, layer, merging)
    case undefined:
      return mergeDefault(base, layer, merging)
  }
}

function mergeDefault(base: Node, layer: Node, merging: Merging): Node {
  if (base.kind === 'map' && layer.kind === 'map') return mergeMaps(base, layer, merging)
  if (base.kind === 'list' && layer.kind === 'list') return mergeLists(base, layer, merging)
  if (base.kind === 'scalar') return layer
  merging.diagnostics.error(layer, `cannot override ${formatPath(merging.path)}`, {
    over: base,
    path: merging.path,
    expected: `a ${base.kind}, as what it is merged with`,
    suggestion: 'write it the same way in both files, or tag it with !override',
  })
  return base
}

function mergeMaps(base: MapNode, layer: MapNode, merging: Merging): MapNode {
  const entries = new Map(base.entries)
  for (const [key, entry] of layer.entries) {
    const before = base.entries.get(key)
    const { rules, diagnostics } = merging
    const next = { rules: below(rules, key), path: [...merging.path, key], diagnostics }
    const keepsPlace = before !== undefined && isNull(entry.value)
    if (before === undefined || (key.startsWith('x-') && !keepsPlace)) entries.set(key, entry)
    else if (!keepsPlace)
      entries.set(key, { ...entry, value: merge(before.value, entry.value, next) })
  }
  return { ...base, entries }
}

function mergeLists(base: Node, layer: Node, merging: Merging): Node {
  if (base.kind !== 'list' || layer.kind !== 'list') return mergeDefault(base, layer, merging)
  return { ...base, items: [...base.items, ...layer.items] }
}

/** A text as a list of itself. */
function asList(node: Node): Node {
  return node.kind === 'scalar' ? listAt(node, [node]) : node
}

/** A list of `K=V` as a map; a key without `=` has no value. Anything else as it is. */
export function asPairs(node: Node): Node {
  if (node.kind !== 'list') return node
  const entries = new Map<string, Entry>()
  for (const item of node.items) {
    if (item.kind !== 'scalar') return node
    const text = scalarText(item)
    const equals = text.indexOf('=')
    const key = equals === -1 ? text : text.slice(0, equals)
    const value = scalarAt(item, equals === -1 ? null : text.slice(equals + 1))
    entries.set(key, { source: item.source, offset: item.offset, value })
  }
  return mapAt(node, entries)
}

/** Later values win; a key without value replaces too, for it means the environment's. */
function mergePairs(base: Node, layer: Node, merging: Merging): Node {
  const [from, to] = [asPairs(base), asPairs(layer)]
  if (from.kind !== 'map' || to.kind !== 'map') return mergeDefault(from, to, merging)
  const entries = new Map(from.entries)
  for (const [key, entry] of to.entries) entries.set(key, entry)
  return { ...from, entries }
}

/** A list of names as a map of them without values. */
function asNames(node: Node): Node {
  if (node.kind !== 'list') return node
  const entries = new Map<string, Entry>()
  for (const item of node.items) {
    if (item.kind !== 'scalar') return node
    const { source, offset } = item
    entries.set(scalarText(item), { source, offset, value: scalarAt(item, null) })
  }
  return mapAt(node, entries)
}

/** A list of services as the map form of depends_on. */
export function asDependencies(node: Node): Node {
  const names = asNames(node)
  if (node.kind !== 'list' || names.kind !== 'map') return node
  const entries = new Map<string, Entry>()
  for (const [name, entry] of names.entries) {
    const at = (value: string | boolean): Entry => ({ ...entry, value: scalarAt(entry, value) })
    const fields = new Map([
      ['condition', at('service_started')],
      ['required', at(true)],
    ])
    entries.set(name, { ...entry, value: mapAt(entry, fields) })
  }
  return mapAt(node, entries)
}

function asBuild(node: Node): Node {
  if (node.kind !== 'scalar') return node
  const { source, offset } = node
  return mapAt(node, new Map([['context', { source, offset, value: node }]]))
}

/** Options of one driver mean nothing to another. */
function mergeLogging(base: Node, layer: Node, merging: Merging): Node {
  const [from, to] = [child(base, 'driver'), child(layer, 'driver')]
  const sameDriver = from?.kind !== 'scalar' || to?.kind !== 'scalar' || from.value === to.value
  return sameDriver ? mergeDefault(base, layer, merging) : layer
}

/** Address pools are the same when their subnet is. */
function mergeIpam(base: Node, layer: Node, merging: Merging): Node {
  if (base.kind !== 'list' || layer.kind !== 'list') return mergeDefault(base, layer, merging)
  const items = [...base.items]
  for (const item of layer.items) {
    const subnet = textOf(child(item, 'subnet'))
    const index = items.findIndex((other) => textOf(child(other, 'subnet')) === subnet)
    const before = items[index]
    if (before === undefined || subnet === undefined) items.push(item)
    else {
      const { rules, diagnostics } = merging
      const path = [...merging.path, index]
      items[index] = merge(before, item, { rules: below(rules, '*'), path, diagnostics })
    }
  }
  return { ...base, items }
}

function textOf(node: Node | undefined): string | undefined {
  return node?.kind === 'scalar' ? scalarText(node) : undefined
}

/** A host may have several addresses: only whole entries are the same. */
function mergeHosts(base: Node, layer: Node, merging: Merging): Node {
  return mergeLists(asHostList(base), asHostList(layer), merging)
}

/** extra_hosts as a list of `host=ip`, one address an entry. */
export function asHostList(node: Node): ListNode | Node {
  if (node.kind !== 'map') return node
  const items: Node[] = []
  for (const [host, { value }] of node.entries) {
    for (const address of value.kind === 'list' ? value.items : [value]) {
      if (address.kind === 'scalar') items.push(scalarAt(address, `${host}=${scalarText(address)}`))
    }
  }
  return listAt(node, items)
}
