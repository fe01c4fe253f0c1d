/**
 * `extends` (compose-spec 05-services.md#extends): a service over the one that it extends, of the same file or of
 * another, recursively. Nodes of another file keep their source, so its relative paths stay relative to it.
 */
import { spendNodes } from './budget.ts'
import { interpolate } from './interpolate.ts'
import { applyTags, stripTags } from './merge-tags.ts'
import { mergeFiles, mergeServices } from './merge.ts'
import type { Entry, MapNode, Node, Place } from './node.ts'
import { child, scalarText, withEntry, withoutEntry } from './node.ts'
import { readModule } from './module-document.ts'
import { parseSource } from './parse.ts'
import { directoryOf, resolvePath } from './posix-path.ts'
import { isModule, isRemote, localCopy } from './remote-files.ts'
import type { Session } from './session.ts'
import { readText } from './session.ts'
import type { Source } from './source.ts'
import { suggest } from './suggest.ts'

const MAX_DEPTH = 200

/** The services of one file, as written, and those that are resolved. */
interface ServiceFile {
  readonly source: Source
  readonly services: MapNode | undefined
  readonly resolved: Map<string, Node>
}

interface Resolution {
  readonly session: Session
  /** Extended files by path. */
  readonly files: Map<string, ServiceFile | undefined>
}

interface Link {
  readonly file: string
  readonly service: string
}

/** A document whose services have what they extend. What is wrong goes to the diagnostics. */
export function resolveExtends(document: MapNode, source: Source, session: Session): MapNode {
  const services = child(document, 'services')
  const key = document.entries.get('services')
  if (services?.kind !== 'map' || key === undefined) return document
  if (![...services.entries.values()].some(({ value }) => child(value, 'extends'))) return document
  const file: ServiceFile = { source, services, resolved: new Map() }
  const resolution: Resolution = { session, files: new Map() }
  const entries = new Map<string, Entry>()
  for (const [name, entry] of services.entries) {
    const value = resolveService(name, file, { resolution, chain: [] }) ?? entry.value
    entries.set(name, { ...entry, value })
  }
  return withEntry(document, 'services', { ...key, value: { ...services, entries } })
}

interface Step {
  readonly resolution: Resolution
  readonly chain: readonly Link[]
}

function resolveService(name: string, file: ServiceFile, step: Step): Node | undefined {
  const known = file.resolved.get(name)
  if (known !== undefined) return known
  const service = child(file.services, name)
  const extended = child(service, 'extends')
  if (service?.kind !== 'map' || extended === undefined) return service
  const { diagnostics } = step.resolution.session
  const plain = withoutEntry(service, 'extends')
  const chain = [...step.chain, { file: file.source.file, service: name }]
  const cycle = cycleIn(chain)
  if (cycle !== undefined) {
    diagnostics.error(extended, `circular reference: services extend each other: ${cycle}`, {
      path: ['services', name, 'extends'],
      expected: 'services that do not extend each other in a circle',
      suggestion: 'remove one of these extends',
    })
    return plain
  }
  const found = baseOf(name, extended, file, { ...step, chain })
  const base = found === undefined ? undefined : stripTags(found)
  const merged =
    base?.kind === 'map'
      ? mergeServices(applyTags(base, plain), stripTags(plain) ?? plain, { name, diagnostics })
      : plain
  file.resolved.set(name, merged)
  return merged
}

/** `a -> b -> a`, when the last link is there already (or the chain is too long to be meant). */
function cycleIn(chain: readonly Link[]): string | undefined {
  const last = chain.at(-1)
  const first = chain.findIndex((link) => link.file === last?.file && link.service === last.service)
  if (first === chain.length - 1 && chain.length <= MAX_DEPTH) return undefined
  return chain
    .slice(Math.max(0, first))
    .map(({ service }) => service)
    .join(' -> ')
}

function baseOf(name: string, extended: Node, file: ServiceFile, step: Step): Node | undefined {
  const { session } = step.resolution
  const path = ['services', name, 'extends']
  const service = extended.kind === 'scalar' ? extended : child(extended, 'service')
  if (service?.kind !== 'scalar' || typeof service.value !== 'string') {
    session.diagnostics.error(extended, `extends.${name}.service is required`, {
      path,
      expected: 'the name of a service, or a map with service and file',
      suggestion: 'add service: name',
    })
    return undefined
  }
  const from = child(extended, 'file')
  const target = from?.kind === 'scalar' ? extendedFile(from, step) : file
  if (target === undefined) return undefined
  const base = child(target.services, service.value)
  if (base === undefined) {
    reportMissing({ name, service: service.value, place: service, target, session })
    return undefined
  }
  const resolved = resolveService(service.value, target, step)
  return resolved !== undefined && spendNodes(resolved, service, session) ? resolved : undefined
}

interface Missing {
  readonly name: string
  readonly service: string
  readonly place: Place
  readonly target: ServiceFile
  readonly session: Session
}

function reportMissing({ name, service, place, target, session }: Missing): void {
  const subject = `cannot extend service "${name}" in ${target.source.file}`
  const path = ['services', name, 'extends']
  if (target.services === undefined) {
    session.diagnostics.error(place, `${subject}: no services section`, {
      path,
      expected: 'a file with services',
      suggestion: 'name another file',
    })
    return
  }
  const names = [...target.services.entries.keys()]
  const near = suggest(service, names)
  session.diagnostics.error(place, `${subject}: service "${service}" not found`, {
    path,
    expected: `one of the services ${names.join(', ')}`,
    suggestion: near === undefined ? 'name a service of that file' : `did you mean "${near}"?`,
  })
}

/** The file that `extends.file` names, its documents merged; its `include` is not looked at. */
function extendedFile(from: Node, { resolution }: Step): ServiceFile | undefined {
  const { session, files } = resolution
  if (from.kind !== 'scalar') return undefined
  const path = scalarText(from)
  const file = isRemote(path)
    ? localCopy(path, from, session)
    : resolvePath(path, from.source.directory, session.home)
  if (file === undefined) return undefined
  if (files.has(file)) return files.get(file)
  if (isModule(file, session)) {
    const origin = { verb: 'extended', source: from.source, offset: from.offset } as const
    readModule({ ...from.source, file, text: '', origin }, session)
    files.set(file, undefined)
    return undefined
  }
  const text = readText(session, file, from)
  const loaded = text === undefined ? undefined : parseServices(file, text, { from, session })
  files.set(file, loaded)
  return loaded
}

function parseServices(
  file: string,
  text: string,
  { from, session }: { readonly from: Node; readonly session: Session },
): ServiceFile {
  const { budget, diagnostics } = session
  const { lookup } = from.source
  const source: Source = {
    file,
    text,
    directory: directoryOf(file),
    lookup,
    origin: { verb: 'extended', source: from.source, offset: from.offset },
  }
  const documents = parseSource(source, diagnostics).map((document) =>
    session.interpolate ? interpolate(document, { lookup, budget, diagnostics }) : document,
  )
  const merged = documents.reduce<Node | undefined>((before, document) => {
    if (before === undefined) return document
    return mergeFiles(applyTags(before, document), document, diagnostics)
  }, undefined)
  const services = child(merged, 'services')
  return { source, services: services?.kind === 'map' ? services : undefined, resolved: new Map() }
}
