/** One COPY or ADD: what it copies is digested first, and copied only where the cache does not know it. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { resolveUser } from '../engine/container-user.ts'
import { TsstackError } from '../errors.ts'
import { unpackArchive, isArchive } from './add-archive.ts'
import { componentsOf, CopyTarget, type CopyAttributes, type Target } from './copy-files.ts'
import { digestOfFile } from './file-digests.ts'
import type { IgnorePatterns } from './ignore-patterns.ts'
import {
  findSources,
  walkSource,
  type Source,
  type SourceFile,
  type SourceTree,
} from './source-tree.ts'

const TEXT_MODE = 0o644

/** What is copied of one tree. */
export interface CopyPart {
  readonly tree: SourceTree
  readonly sources: readonly Source[]
  /** Unpack what is an archive. */
  readonly unpack: boolean
}

/** A COPY with its variables expanded. */
export interface CopyPlan {
  readonly parts: readonly CopyPart[]
  readonly excludes: IgnorePatterns
  /** Absolute; a slash at its end means a directory. */
  readonly destination: string
  readonly chown?: string
  readonly chmod?: string
  readonly parents: boolean
  /** Here-documents. */
  readonly texts: readonly { readonly name: string; readonly content: string }[]
}

export async function planSources(
  tree: SourceTree,
  names: readonly string[],
): Promise<readonly Source[]> {
  const found: Source[] = []
  for (const name of names) found.push(...(await findSources(tree, name)))
  return found
}

function isCopied(file: SourceFile, source: Source): boolean {
  const { stats } = file
  if (stats.isFile() || stats.isDirectory() || stats.isSymbolicLink()) return true
  if (file.below !== '') return false // sockets and fifos that lie about
  throw new TsstackError('INVALID_ARGUMENT', `"${source.path}" is no file, directory or symlink`)
}

async function describe(file: SourceFile, keepsOwner: boolean): Promise<string> {
  const { stats, below, at } = file
  const content = stats.isFile()
    ? await digestOfFile(at, stats)
    : stats.isSymbolicLink()
      ? fs.readlinkSync(at)
      : ''
  const owner = keepsOwner ? `${stats.uid}:${stats.gid}` : ''
  return JSON.stringify([below, stats.mode.toString(8), owner, content])
}

/** A digest of all that the sources hold: names, kinds, modes, contents; times are no part of it. */
export async function digestOfSources(
  { tree, sources }: Pick<CopyPart, 'tree' | 'sources'>,
  excludes: IgnorePatterns,
): Promise<string> {
  const hash = createHash('sha256')
  for (const source of sources) {
    hash.update(JSON.stringify([source.path, source.isDirectory, source.pivot]))
    for await (const file of walkSource(tree, source, excludes))
      if (isCopied(file, source)) hash.update(await describe(file, tree.keepsOwner))
  }
  return hash.digest('hex')
}

/** `a/b/./c/d` keeps `c/d` with `--parents`. */
function keptPath(source: Source, parents: boolean): string[] {
  if (!parents) return source.isDirectory ? [] : [path.posix.basename(source.path)]
  return componentsOf(source.path).slice(source.pivot)
}

interface Destination {
  readonly target: Target
  /** The name says that it is one, or several things go there. */
  readonly isDirectory: boolean
}

function destinationOf(plan: CopyPlan, target: CopyTarget): Destination {
  const components = componentsOf(plan.destination)
  const count =
    plan.parts.reduce((total, { sources }) => total + sources.length, 0) + plan.texts.length
  const named = /(?:\/|\/\.)$/.test(plan.destination) || plan.parents
  const isDirectory = named || count > 1 || target.isDirectory(components)
  if (count > 1 && !named && !target.isDirectory(components))
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `"${plan.destination}" must be a directory for several sources`,
      { hint: 'Write a slash at its end' },
    )
  return { target: components, isDirectory }
}

function attributesOf({ chown, chmod }: CopyPlan, rootFd: number): CopyAttributes {
  const mode = chmod === undefined ? {} : { mode: chmod }
  if (chown === undefined) return mode
  const { uid, gid } = resolveUser(rootFd, chown, [])
  // Without a group it is the one with the user's number (Dockerfile reference, "COPY --chown").
  return { ...mode, owner: { uid, gid: chown.includes(':') ? gid : uid } }
}

interface Copying {
  readonly plan: CopyPlan
  readonly writer: CopyTarget
  readonly destination: Destination
  /** Of the tree that is written. */
  readonly root: string
}

async function copySource(
  { plan, writer, destination }: Copying,
  { tree }: CopyPart,
  source: Source,
): Promise<void> {
  const inside = source.isDirectory || destination.isDirectory
  const base = [...destination.target, ...(inside ? keptPath(source, plan.parents) : [])]
  writer.makeDirectories(source.isDirectory ? base : base.slice(0, -1))
  for await (const file of walkSource(tree, source, plan.excludes)) {
    if (!isCopied(file, source)) continue
    const below = file.below === '' ? [] : file.below.split('/')
    await writer.add(file, [...base, ...below], tree.keepsOwner)
  }
}

async function copyPart(copying: Copying, part: CopyPart): Promise<void> {
  const { writer, destination, root } = copying
  const { target } = destination
  for (const source of part.sources) {
    const isPacked = part.unpack && !source.isDirectory ? await isArchive(part.tree, source) : false
    if (isPacked) {
      writer.makeDirectories(target)
      await unpackArchive(part.tree, source, { root, target })
    } else await copySource(copying, part, source)
  }
}

/** Copies into a tree. */
export async function copyInto(plan: CopyPlan, rootFd: number): Promise<void> {
  const root = `/proc/self/fd/${rootFd}`
  const writer = new CopyTarget(root, attributesOf(plan, rootFd))
  try {
    const destination = destinationOf(plan, writer)
    const copying = { plan, writer, destination, root }
    for (const part of plan.parts) await copyPart(copying, part)
    for (const { name, content } of plan.texts) {
      const target = destination.isDirectory ? [...destination.target, name] : destination.target
      writer.makeDirectories(target.slice(0, -1))
      writer.addText(content, target, TEXT_MODE)
    }
    writer.finish()
  } finally {
    writer.close()
  }
}
