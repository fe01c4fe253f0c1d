/**
 * A tree from which COPY and ADD take files: the build context, a stage, an image. All of it is hostile: what is named
 * is resolved with the tree as root (openat2, RESOLVE_IN_ROOT), so that no symlink leads out; below that nothing is
 * followed. What is ignored is not even looked at.
 */
import fs from 'node:fs'
import path from 'node:path'
import { O_PATH, openConfined, RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import { compileGlob } from './glob.ts'
import type { IgnorePatterns } from './ignore-patterns.ts'

export interface SourceTree {
  /** What it is called in messages: `the build context`, `stage "base"`. */
  readonly name: string
  /** Of its root directory. */
  readonly rootFd: number
  readonly ignore?: IgnorePatterns
  /** Files keep their owner; those of a context become root's. */
  readonly keepsOwner: boolean
}

/** A file of a source, opened where its contents matter. */
export interface SourceFile {
  /** From the source's own root: '' is the source itself. */
  readonly below: string
  readonly stats: fs.BigIntStats
  /** By descriptors: names this very file for Node's calls, while the walk is at it. */
  readonly at: string
}

/** One thing that an instruction names. */
export interface Source {
  /** In the tree, symlinks as they were written; '' is its root. */
  readonly path: string
  readonly isDirectory: boolean
  /** How many of its components stand before a `/./`: `--parents` keeps what follows. */
  readonly pivot: number
}

const { O_DIRECTORY, O_NOFOLLOW } = fs.constants
const FOLLOWED = { flags: O_PATH, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS }
const CHILD = { flags: O_PATH | O_NOFOLLOW, resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS }
const MAX_DEPTH = 200

/** A path as instructions write it: from the tree's root, `..` does not leave it. */
function cleanSource(written: string): string {
  return path.posix.normalize(`/${written}`).replace(/^\/+/, '').replace(/\/+$/, '')
}

function notFound(tree: SourceTree, written: string): TsstackError {
  const hint = tree.ignore === undefined ? {} : { hint: 'Is it there, and not in .dockerignore?' }
  return new TsstackError('NOT_FOUND', `"${written}" is not in ${tree.name}`, hint)
}

function pivotOf(written: string): number {
  const at = written.indexOf('/./')
  return at < 0 ? 0 : cleanSource(written.slice(0, at)).split('/').filter(Boolean).length
}

/** By tree: the path of its root, which is asked for with each file. */
const roots = new WeakMap<SourceTree, string>()

function rootOf(tree: SourceTree): string {
  const root = roots.get(tree) ?? fs.readlinkSync(`/proc/self/fd/${tree.rootFd}`)
  roots.set(tree, root)
  return root
}

/** Where a path leads within the tree, symlinks followed. */
function realPath(tree: SourceTree, fd: number): string {
  return path.posix.relative(rootOf(tree), fs.readlinkSync(`/proc/self/fd/${fd}`))
}

function findOne(tree: SourceTree, file: string, pivot: number): Source | undefined {
  const fd = tryOpenConfined(tree.rootFd, file === '' ? '.' : file, FOLLOWED)
  if (fd < 0) return undefined
  try {
    if (tree.ignore !== undefined && file !== '' && isIgnored(tree.ignore, realPath(tree, fd), fd))
      return undefined
    return { path: file, isDirectory: fs.fstatSync(fd).isDirectory(), pivot }
  } finally {
    fs.closeSync(fd)
  }
}

/** An ignored directory of which something may be taken back is looked into. */
function isIgnored(ignore: IgnorePatterns, file: string, fd: number): boolean {
  if (file === '' || !ignore.ignores(file)) return false
  return !(ignore.hasExceptions && fs.fstatSync(fd).isDirectory())
}

/**
 * What a name stands for; with `*`, `?`, `[…]` and `**` that may be several, in order.
 * @throws {NOT_FOUND} nothing
 */
export async function findSources(tree: SourceTree, written: string): Promise<Source[]> {
  const pattern = cleanSource(written)
  const pivot = pivotOf(written)
  const literal = findOne(tree, pattern, pivot)
  if (literal !== undefined) return [literal]
  if (!/[*?[]/.test(pattern)) throw notFound(tree, written)
  const matches = compileGlob(pattern)
  const deep = pattern.includes('**') ? MAX_DEPTH : pattern.split('/').length
  const found: Source[] = []
  const visit = async (directory: string, depth: number): Promise<void> => {
    for (const name of await namesIn(tree, directory)) {
      const file = directory === '' ? name : `${directory}/${name}`
      const source = findOne(tree, file, pivot)
      if (source === undefined) continue
      if (matches(file)) found.push(source)
      else if (source.isDirectory && depth < deep) await visit(file, depth + 1)
    }
  }
  await visit('', 1)
  if (found.length === 0) throw notFound(tree, written)
  return found
}

async function namesIn(tree: SourceTree, directory: string): Promise<string[]> {
  const flags = O_PATH | O_DIRECTORY
  const fd = openConfined(tree.rootFd, directory === '' ? '.' : directory, { ...FOLLOWED, flags })
  try {
    return (await fs.promises.readdir(`/proc/self/fd/${fd}`)).sort()
  } finally {
    fs.closeSync(fd)
  }
}

/**
 * All files of a source, each directory before what is in it, in the order of their names.
 * @param excludes - further patterns, of paths below the source
 */
export async function* walkSource(
  tree: SourceTree,
  source: Source,
  excludes: IgnorePatterns,
): AsyncGenerator<SourceFile> {
  const fd = openConfined(tree.rootFd, source.path === '' ? '.' : source.path, FOLLOWED)
  try {
    const at = `/proc/self/fd/${fd}`
    const stats = fs.statSync(at, { bigint: true })
    const real = tree.ignore === undefined ? '' : realPath(tree, fd)
    if (!stats.isDirectory()) {
      if (!excludes.ignores(path.posix.basename(source.path))) yield { below: '', stats, at }
      return
    }
    yield { below: '', stats, at: `${at}/.` }
    yield* walkDirectory({ tree, excludes, real }, fd, { below: '', depth: 0 })
  } finally {
    fs.closeSync(fd)
  }
}

interface Walk {
  readonly tree: SourceTree
  readonly excludes: IgnorePatterns
  /** Of the source, in the tree. */
  readonly real: string
}

async function* walkDirectory(
  walk: Walk,
  fd: number,
  { below, depth }: { readonly below: string; readonly depth: number },
): AsyncGenerator<SourceFile> {
  if (depth > MAX_DEPTH)
    throw new TsstackError('INVALID_ARGUMENT', `"${below}" is deeper than ${MAX_DEPTH} directories`)
  for (const name of (await fs.promises.readdir(`/proc/self/fd/${fd}`)).sort()) {
    const file = below === '' ? name : `${below}/${name}`
    const choice = choose(walk, file)
    if (choice === 'none') continue
    const child = tryOpenConfined(fd, name, CHILD)
    if (child < 0) continue // removed meanwhile
    try {
      const stats = fs.fstatSync(child, { bigint: true })
      // A symlink has no other name; whatever else is there is pinned by its descriptor.
      const pinned = `/proc/self/fd/${child}`
      const at = stats.isSymbolicLink() ? `/proc/self/fd/${fd}/${name}` : pinned
      const self = { below: file, stats, at }
      if (stats.isDirectory()) {
        const inside = walkDirectory(walk, child, { below: file, depth: depth + 1 })
        yield* choice === 'all' ? withFirst(self, inside) : ifAny(self, inside)
      } else if (choice === 'all') yield self
    } finally {
      fs.closeSync(child)
    }
  }
}

/** `some`: it is ignored itself, but something below it may be taken back. */
function choose({ tree, excludes, real }: Walk, file: string): 'all' | 'some' | 'none' {
  const inTree = real === '' ? file : `${real}/${file}`
  const ignoring = [
    ...(tree.ignore?.ignores(inTree) === true ? [tree.ignore] : []),
    ...(excludes.ignores(file) ? [excludes] : []),
  ]
  if (ignoring.length === 0) return 'all'
  return ignoring.every(({ hasExceptions }) => hasExceptions) ? 'some' : 'none'
}

async function* withFirst(
  first: SourceFile,
  rest: AsyncGenerator<SourceFile>,
): AsyncGenerator<SourceFile> {
  yield first
  yield* rest
}

async function* ifAny(
  first: SourceFile,
  rest: AsyncGenerator<SourceFile>,
): AsyncGenerator<SourceFile> {
  let isFirst = true
  for await (const file of rest) {
    if (isFirst) yield first
    isFirst = false
    yield file
  }
}
