/**
 * `include` (compose-spec 14-include.md): each entry is a project of its own, with its own directory and environment;
 * what it defines comes in underneath the document that names it.
 */
import { spendFile, spendNodes } from './budget.ts'
import { readLayers } from './layer.ts'
import type { Assembly } from './layer.ts'
import { mergeFiles } from './merge.ts'
import type { Entry, MapNode, Node } from './node.ts'
import { child, mapAt, scalarText } from './node.ts'
import { directoryOf, resolvePath } from './posix-path.ts'
import { readEnvFiles } from './project-environment.ts'
import type { Environment } from './project-environment.ts'
import { isRemote, localCopy } from './remote-files.ts'
import type { Session } from './session.ts'
import type { Source } from './source.ts'

const MAX_DEPTH = 50
/** What is imported; `name` and `x-*` of an included file are its own. */
const IMPORTED = new Set(['services', 'networks', 'volumes', 'configs', 'secrets', 'models'])

/** What a document includes, as one tree; undefined when it includes nothing. */
export function resolveIncludes(
  document: MapNode,
  source: Source,
  assembly: Assembly,
): MapNode | undefined {
  const include = child(document, 'include')
  const { diagnostics } = assembly.session
  if (include === undefined || (include.kind === 'scalar' && include.value === null))
    return undefined
  if (include.kind !== 'list') {
    diagnostics.error(include, 'include must be a list', {
      path: ['include'],
      expected: 'a list of paths, or of maps with path, project_directory and env_file',
      suggestion: 'write each path as an item: - ./other.yaml',
    })
    return undefined
  }
  let merged: MapNode | undefined
  for (const entry of include.items) {
    const imported = includeEntry(entry, source, assembly)
    if (imported === undefined) continue
    const next = merged === undefined ? imported : mergeFiles(imported, merged, diagnostics)
    merged = next.kind === 'map' ? next : merged
  }
  return merged
}

interface IncludeEntry {
  readonly paths: readonly string[]
  readonly projectDirectory: string
  readonly envFiles: readonly string[]
}

function includeEntry(entry: Node, source: Source, assembly: Assembly): MapNode | undefined {
  const { session, including } = assembly
  const { diagnostics } = session
  const read = readEntry(entry, source, session)
  if (read === 'lacking') return undefined
  if (read === undefined) {
    diagnostics.error(entry, 'include entry has no path', {
      path: ['include'],
      expected: 'a path, or a map with path, project_directory and env_file',
      suggestion: 'add path: ./other.yaml',
    })
    return undefined
  }
  const [first] = read.paths
  const repeated = read.paths.find((path) => including.includes(path))
  if (repeated !== undefined || including.length > MAX_DEPTH) {
    const chain = [...including, repeated ?? first].join(' -> ')
    diagnostics.error(entry, `include cycle detected: ${chain}`, {
      path: ['include'],
      expected: 'files that do not include each other in a circle',
      suggestion: 'remove one of these includes',
    })
    return undefined
  }
  if (!read.paths.every(() => spendFile(entry, session))) return undefined
  const environment = environmentOf(read, entry, assembly)
  const origin = { verb: 'included', source, offset: entry.offset } as const
  const context = { directory: read.projectDirectory, environment, origin }
  const layers = read.paths.flatMap((path) => readLayers(path, context, session))
  const nested = { ...assembly, environment, including: [...including, ...read.paths] }
  const tree = assembly.assemble(layers, nested)
  return tree !== undefined && spendNodes(tree, entry, session) ? onlyImported(tree) : undefined
}

function onlyImported(tree: MapNode): MapNode {
  const entries = new Map<string, Entry>()
  for (const [key, entry] of tree.entries) if (IMPORTED.has(key)) entries.set(key, entry)
  return mapAt(tree, entries)
}

function texts(node: Node | undefined): string[] {
  if (node === undefined) return []
  const items = node.kind === 'list' ? node.items : [node]
  return items.flatMap((item) => {
    const text = item.kind === 'scalar' ? scalarText(item) : ''
    return text === '' ? [] : [text]
  })
}

/** `lacking`: it names a remote file of which there is no copy. */
function readEntry(
  entry: Node,
  source: Source,
  session: Session,
): IncludeEntry | 'lacking' | undefined {
  const { directory } = source
  const absolute = (path: string): string => resolvePath(path, directory, session.home)
  const isShort = entry.kind === 'scalar'
  const named = texts(isShort ? entry : child(entry, 'path'))
  const paths = named.flatMap(
    (path) => (isRemote(path) ? localCopy(path, entry, session) : absolute(path)) ?? [],
  )
  if (paths.length < named.length) return 'lacking'
  const [first] = paths
  if (first === undefined) return undefined
  const [own] = isShort ? [] : texts(child(entry, 'project_directory'))
  return {
    paths,
    projectDirectory: own === undefined ? directoryOf(first) : absolute(own),
    envFiles: isShort ? [] : texts(child(entry, 'env_file')).map(absolute),
  }
}

/** What is set stays; the entry's files, or the `.env` beside it, add to it. */
function environmentOf(entry: IncludeEntry, place: Node, assembly: Assembly): Environment {
  const { session, environment } = assembly
  const { fs } = session
  const byDefault = resolvePath('.env', entry.projectDirectory)
  const files =
    entry.envFiles.length > 0
      ? entry.envFiles.filter((file) => file !== '/dev/null')
      : fs.exists(byDefault) && !fs.isDirectory(byDefault)
        ? [byDefault]
        : []
  return readEnvFiles(environment, files, { session, place })
}
