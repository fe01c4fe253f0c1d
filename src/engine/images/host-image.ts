/**
 * host: images: assembled from programs of this host. One layer holds what every such image needs, one layer each item
 * with what it needs beyond that, and, where its programs run as system users of their own, a last one the accounts.
 * The same files give the same layers, so `host:sh,coreutils` and `host:sh,coreutils,node` share all that they can.
 */
import { createHash } from 'node:crypto'
import { HOST_ARCHITECTURE, type ParsedConfig } from './image.ts'
import { formatAccounts, readAccounts } from './host-accounts.ts'
import { lstatIfThere, versionOf } from './host-file.ts'
import { addItem, createProgramSearch, type ItemContext, type ProgramSearch } from './host-items.ts'
import { addSkeleton } from './host-skeleton.ts'
import { HostTree, type HostTreeContext } from './host-tree.ts'
import { compareEntries, type LayerEntry } from './layer-entry.ts'
import { openLibrarySearch } from './library-search.ts'
import { createPacer } from './pacer.ts'
import { openPackageDatabase } from './host-packages.ts'
import type { HostItem } from './reference.ts'

/** Part of every cache key: raise it when the same host files shall give another image. */
const HOST_IMAGE_FORMAT = 1

/** A layer that is decided on but not yet made. */
export interface PlannedLayer {
  /** The same key promises the same content. */
  readonly key: string
  readonly entries: readonly LayerEntry[]
}

export interface PlannedHostImage {
  /** Lowest first. */
  readonly layers: readonly PlannedLayer[]
  /** All but the layers' digests. */
  readonly config: Omit<ParsedConfig, 'layers'>
  /** While these versions hold, the image is the same: path -> version (see host-file.ts). */
  readonly inputs: ReadonlyMap<string, string>
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Files whose change may change what a name means. */
const CONFIGURATION = ['/etc/ld.so.cache', '/etc/passwd', '/etc/group']

function isSame(a: LayerEntry, b: LayerEntry | undefined): boolean {
  return (
    b !== undefined && a.type === b.type && a.mode === b.mode && a.uid === b.uid && a.gid === b.gid
  )
}

/** Entries in order; a file that has appeared under another name already becomes a hard link to it. */
function finish(tree: HostTree, base: HostTree | undefined): LayerEntry[] {
  const own = [...tree.entries.values()].filter(
    (entry) => entry.type === 'directory' || !isSame(entry, base?.entries.get(entry.path)),
  )
  const firsts = new Map<string, string>()
  return own.sort(compareEntries).map((entry) => {
    const stats = tree.sources.get(entry.path)?.stats
    if (entry.type !== 'file' || stats === undefined || stats.nlink === 1n) return entry
    const inode = `${stats.dev}:${stats.ino}`
    const target = firsts.get(inode)
    firsts.set(inode, target ?? entry.path)
    return target === undefined ? entry : { ...entry, type: 'hardlink', target }
  })
}

/** Directories without anything in them that the layers below have as well say nothing. */
function prune(entries: readonly LayerEntry[], base: HostTree | undefined): LayerEntry[] {
  const needed = new Set<string>([''])
  for (const entry of entries) {
    const isOwn = entry.type !== 'directory' || !isSame(entry, base?.entries.get(entry.path))
    if (!isOwn) continue
    for (let at = entry.path; at !== ''; at = at.slice(0, Math.max(at.lastIndexOf('/'), 0)))
      needed.add(at)
  }
  return entries.filter((entry) => entry.type !== 'directory' || needed.has(entry.path))
}

function keyOf(entries: readonly LayerEntry[], tree: HostTree | undefined): string {
  const hash = createHash('sha256').update(`${HOST_IMAGE_FORMAT}\n`)
  for (const entry of entries) {
    const source = tree?.sources.get(entry.path)
    const content = entry.type === 'content' ? entry.content.toString('base64') : ''
    const { xattrs, ...fields } = entry
    const capabilities = (xattrs ?? []).map(([name, value]) => [name, value.toString('hex')])
    const line = {
      ...fields,
      content,
      capabilities,
      version: source === undefined ? '' : versionOf(source.stats),
    }
    hash.update(`${JSON.stringify(line)}\n`)
  }
  return hash.digest('hex')
}

function planLayer(tree: HostTree, base?: HostTree): PlannedLayer {
  const entries = prune(finish(tree, base), base)
  return { key: keyOf(entries, tree), entries }
}

function addRoot(tree: HostTree): void {
  tree.addEntry({ type: 'directory', path: '', mode: 0o755, uid: 0, gid: 0, mtime: 0 })
}

function ownersOf(trees: readonly HostTree[], field: 'uid' | 'gid'): Set<number> {
  return new Set(trees.flatMap((tree) => [...tree.entries.values()].map((entry) => entry[field])))
}

/** The newest file's time: as deterministic as the files are. */
function createdAt(trees: readonly HostTree[]): string {
  const times = trees.flatMap((tree) => [...tree.entries.values()].map(({ mtime }) => mtime))
  const newest = times.reduce((a, b) => Math.max(a, b), 0)
  return new Date(newest * 1000).toISOString().replace('.000Z', 'Z')
}

function collectInputs(
  trees: readonly HostTree[],
  directories: readonly string[],
): Map<string, string> {
  const inputs = new Map(trees.flatMap((tree) => [...tree.inputs]))
  for (const file of [...CONFIGURATION, ...directories])
    inputs.set(file, versionOf(lstatIfThere(file)))
  return inputs
}

/** Looks at the host and decides; copies nothing. */
export interface HostAssembler {
  /**
   * @throws {NOT_FOUND} if an item is not on this host
   * @throws {FAILED_PRECONDITION} if a library is missing
   */
  readonly plan: (items: readonly HostItem[]) => Promise<PlannedHostImage>
}

interface Survey {
  readonly base: HostTree
  /** One for each item. */
  readonly items: readonly HostTree[]
  /** The accounts that the items need beyond the base's; undefined if none. */
  readonly accounts: HostTree | undefined
}

async function surveyItem(
  item: HostItem,
  items: ItemContext,
  context: HostTreeContext,
): Promise<HostTree> {
  const tree = new HostTree(context)
  addRoot(tree)
  await addItem(tree, item, items)
  await tree.addNeeded()
  return tree
}

function accountTree(context: HostTreeContext, entries: readonly LayerEntry[]): HostTree {
  const tree = new HostTree(context)
  addRoot(tree)
  tree.addEntry({ type: 'directory', path: 'etc', mode: 0o755, uid: 0, gid: 0, mtime: 0 })
  for (const entry of entries) tree.addEntry(entry)
  return tree
}

async function survey(items: readonly HostItem[], programs: ProgramSearch): Promise<Survey> {
  const pacer = createPacer()
  const context = { search: openLibrarySearch(), findProgram: programs.find }
  await pacer.breathe()
  const itemContext = { programs, packages: openPackageDatabase() }
  const accounts = readAccounts()
  const none = { uids: new Set<number>(), gids: new Set<number>(), names: [] }

  const base = new HostTree(context)
  await addSkeleton(base, formatAccounts(accounts, none).entries)
  await base.addNeeded()
  const trees: HostTree[] = []
  for (const item of items) {
    await pacer.breathe()
    trees.push(await surveyItem(item, itemContext, context))
  }

  const own = formatAccounts(accounts, {
    uids: ownersOf(trees, 'uid'),
    gids: ownersOf(trees, 'gid'),
    names: items.map(({ value }) => value.slice(value.lastIndexOf('/') + 1)),
  })
  return {
    base,
    items: trees,
    accounts: own.isBase ? undefined : accountTree(context, own.entries),
  }
}

function configOf(trees: readonly HostTree[]): PlannedHostImage['config'] {
  const hasShell = trees.some((tree) =>
    ['bin/sh', 'usr/bin/sh'].some((shell) => tree.entries.has(shell)),
  )
  return {
    architecture: HOST_ARCHITECTURE,
    os: 'linux',
    created: createdAt(trees),
    config: {
      ...{ env: { PATH }, exposedPorts: [], volumes: [], labels: {} },
      ...(hasShell ? { cmd: ['sh'] } : {}),
    },
  }
}

/** @param environmentPath - the PATH variable: where programs are looked for after the system's directories */
export function createHostAssembler(environmentPath: string): HostAssembler {
  const programs = createProgramSearch(environmentPath)
  return {
    async plan(items) {
      const found = await survey(items, programs)
      const trees = [found.base, ...found.items]
      const pacer = createPacer()
      const itemLayers: PlannedLayer[] = []
      for (const tree of found.items) {
        itemLayers.push(planLayer(tree, found.base))
        await pacer.breathe()
      }
      const last = found.accounts === undefined ? [] : [planLayer(found.accounts)]
      return {
        // An item that the base has entirely leaves nothing but the root.
        layers: [
          planLayer(found.base),
          ...itemLayers.filter(({ entries }) => entries.length > 1),
          ...last,
        ],
        config: configOf(trees),
        inputs: collectInputs(trees, programs.directories),
      }
    },
  }
}
