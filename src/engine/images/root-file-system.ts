/**
 * `dir:` on a plain root file system, such as debootstrap makes: one layer with the tree as it is, ids kept. A directory
 * is taken for a containers/image layout if it has `manifest.json` and `version`, as that transport always writes;
 * otherwise it is a root file system. Devices and sockets are left out: containers get their own /dev.
 */
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { getXattr } from '../../kernel/file-calls.ts'
import { lstatIfThere, versionOf } from './host-file.ts'
import { HOST_ARCHITECTURE, type Image } from './image.ts'
import { buildLayer } from './layer-builder.ts'
import { compareEntries, type LayerEntry } from './layer-entry.ts'
import { createPacer } from './pacer.ts'
import { addBuiltImage, type StoreParts } from './store-parts.ts'

const MAX_ENTRIES = 500_000
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Whether `dir:` means the files themselves. @throws {NOT_FOUND} */
export function isRootFileSystem(directory: string): boolean {
  const stats = lstatIfThere(`${directory}/`)
  if (stats?.isDirectory() !== true) {
    throw new TsstackError('NOT_FOUND', `Cannot open image directory "${directory}": there is none`)
  }
  return !['manifest.json', 'version'].every((name) =>
    lstatIfThere(path.join(directory, name))?.isFile(),
  )
}

interface Walk {
  readonly entries: LayerEntry[]
  readonly inputs: [path: string, version: string][]
  /** First name of each inode that has several. */
  readonly firsts: Map<bigint, string>
}

function entryOf(file: string, name: string, stats: fs.BigIntStats): LayerEntry | undefined {
  const capability = stats.isFile() ? getXattr(file, 'security.capability') : undefined
  const attributes = {
    path: name,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: Number(stats.mtimeNs / 1_000_000_000n),
    ...(capability === undefined ? {} : { xattrs: [['security.capability', capability]] as const }),
  }
  if (stats.isDirectory()) return { ...attributes, type: 'directory' }
  if (stats.isFile()) return { ...attributes, type: 'file', source: file, size: Number(stats.size) }
  return stats.isSymbolicLink()
    ? { ...attributes, mode: 0o777, type: 'symlink', target: fs.readlinkSync(file) }
    : undefined
}

function visit(walk: Walk, file: string, name: string): boolean {
  const stats = fs.lstatSync(file, { bigint: true })
  walk.inputs.push([file, versionOf(stats)])
  const entry = entryOf(file, name, stats)
  if (entry === undefined) return false
  if (walk.entries.length >= MAX_ENTRIES) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot import root file system: it has more than ${MAX_ENTRIES} files`,
    )
  }
  walk.entries.push(entry)
  return stats.isDirectory()
}

/** In the order of a layer, the later names of an inode are links to the first. */
function linkTwins({ entries, firsts }: Walk): LayerEntry[] {
  return entries.sort(compareEntries).map((entry) => {
    if (entry.type !== 'file') return entry
    const { ino, nlink } = fs.lstatSync(entry.source, { bigint: true })
    const target = nlink > 1n ? firsts.get(ino) : undefined
    if (nlink > 1n && target === undefined) firsts.set(ino, entry.path)
    return target === undefined ? entry : { ...entry, type: 'hardlink', target }
  })
}

async function walkTree(root: string): Promise<Walk> {
  const walk: Walk = { entries: [], inputs: [], firsts: new Map() }
  const pacer = createPacer()
  visit(walk, root, '')
  const pending = ['']
  for (let current = pending.pop(); current !== undefined; current = pending.pop()) {
    for (const child of fs.readdirSync(path.join(root, current))) {
      const name = current === '' ? child : `${current}/${child}`
      if (visit(walk, path.join(root, name), name)) pending.push(name)
    }
    await pacer.breathe()
  }
  return walk
}

/** Imports a tree as an image of one layer. */
export async function resolveRootFileSystem(
  parts: StoreParts,
  directory: string,
  canonical: string,
): Promise<Image> {
  const root = fs.realpathSync(directory)
  if (root === '/') {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      'Cannot import root file system "/": it is the host itself',
    )
  }
  const walk = await walkTree(root)
  const layer = await parts.layers.make((tree) => buildLayer(linkTwins(walk), tree))
  const newest = walk.entries.reduce((latest, { mtime }) => Math.max(latest, mtime), 0)
  const hasShell = ['bin/sh', 'usr/bin/sh'].some((shell) => lstatIfThere(path.join(root, shell)))
  const image = addBuiltImage(
    parts,
    {
      architecture: HOST_ARCHITECTURE,
      os: 'linux',
      created: new Date(newest * 1000).toISOString().replace('.000Z', 'Z'),
      config: {
        ...{ env: { PATH }, exposedPorts: [], volumes: [], labels: {} },
        ...(hasShell ? { cmd: ['sh'] } : {}),
      },
    },
    [layer],
  )
  await parts.records.setReference(canonical, image.id)
  parts.records.setSource({ reference: canonical, imageId: image.id, inputs: walk.inputs })
  return image
}
