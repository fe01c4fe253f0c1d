/**
 * What containers mount of a repository: each file or directory under the digest of its content, made once and never
 * changed. A commit that does not touch it leaves its path, and so the containers that mount it, as they are; one that
 * does gets a new path, and the old one goes when no container and no release has it.
 *
 *   <root>/<sha256>/<name>     plain files and directories, readable by every container
 */
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readdirSync, statSync } from 'node:fs'
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  utimes,
} from 'node:fs/promises'
import { basename, join } from 'node:path'
import { TsstackError } from '../errors.ts'
import { refusePointer, refuseSubmodule } from './missing-content.ts'
import { removeAside } from './remove-aside.ts'

const DIRECTORY_MODE = 0o755
const PROGRAM_MODE = 0o755
const FILE_MODE = 0o644
const EXECUTABLE = 0o100

interface Entry {
  /** Relative to what is stored; empty for itself. */
  readonly path: string
  readonly kind: 'file' | 'program' | 'directory' | 'link'
  /** Bytes, of a file. */
  readonly size: number
}

/** What lies below a path, itself first, in an order that depends on the names alone. */
async function* entriesOf(source: string, path = ''): AsyncGenerator<Entry> {
  const place = join(source, path)
  const stat = await lstat(place)
  const { size } = stat
  if (stat.isSymbolicLink()) yield { path, kind: 'link', size }
  else if (stat.isFile())
    yield { path, kind: (stat.mode & EXECUTABLE) === 0 ? 'file' : 'program', size }
  else if (!stat.isDirectory())
    throw new TsstackError('PERMISSION_DENIED', `Cannot take "${place}": it is no plain file`)
  else {
    yield { path, kind: 'directory', size }
    const names = (await readdir(place)).sort()
    refuseSubmodule(names, place)
    for (const name of names) yield* entriesOf(source, join(path, name))
  }
}

/** sha256 over names, kinds and contents, 64 hexadecimal digits. @param source - absolute, a real path */
export async function digestOfTree(source: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const { path, kind, size } of entriesOf(source)) {
    const place = join(source, path)
    hash.update(`${kind}\0${path}\0`)
    if (kind === 'directory') continue
    if (kind === 'link') {
      const target = Buffer.from(await readlink(place))
      hash.update(`${String(target.length)}\0`).update(target)
      continue
    }
    hash.update(`${String(size)}\0`)
    for await (const chunk of createReadStream(place)) {
      refusePointer(chunk as Buffer, size, place)
      hash.update(chunk as Buffer)
    }
  }
  return hash.digest('hex')
}

/**
 * Stores a file or directory of a checkout, unless it is there already.
 * @param source - absolute, a real path, on the same file system
 * @returns its place in the store
 */
export async function storeContent(root: string, source: string): Promise<string> {
  const home = join(root, await digestOfTree(source))
  const place = join(home, basename(source))
  if (existsSync(place)) {
    // Nobody else keeps it yet: it is as if it had been made now.
    const now = new Date()
    await utimes(home, now, now)
    return place
  }
  const draft = await mkdtemp(join(root, '.draft-'))
  try {
    await copyTree(source, join(draft, basename(source)))
    await chmod(draft, DIRECTORY_MODE)
    await install(draft, home, place)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return place
}

/** Whoever stores the same at the same time may be faster: what is there is as good. */
async function install(draft: string, home: string, place: string): Promise<void> {
  try {
    if (existsSync(home)) await rename(join(draft, basename(place)), place)
    else await rename(draft, home)
  } catch (error) {
    if (!existsSync(place)) throw error
  }
}

/** Files are shared with the checkout, which does not change either; modes are those of git, whatever the umask was. */
async function copyTree(source: string, target: string): Promise<void> {
  for await (const { path, kind } of entriesOf(source)) {
    const [from, to] = [join(source, path), join(target, path)]
    if (kind === 'directory') await mkdir(to)
    else if (kind === 'link') await symlink(await readlink(from), to)
    else await link(from, to)
    if (kind !== 'link') await chmod(to, modeOf(kind))
  }
}

function modeOf(kind: Exclude<Entry['kind'], 'link'>): number {
  if (kind === 'directory') return DIRECTORY_MODE
  return kind === 'program' ? PROGRAM_MODE : FILE_MODE
}

/**
 * Removes what nobody keeps.
 * @param kept - directories of the store, as `storeContent` gives them, or paths below
 * @param aside - as of `removeAside`
 * @param youngMs - what was stored within this time is kept as well: somebody may be about to say so
 */
export function collectContent(
  root: string,
  kept: ReadonlySet<string>,
  { aside, youngMs }: { readonly aside: string; readonly youngMs: number },
): void {
  const digests = new Set(
    [...kept]
      .filter((path) => path.startsWith(`${root}/`))
      .map((path) => path.slice(root.length + 1).split('/', 1)[0]),
  )
  for (const name of readdirSync(root)) {
    const home = join(root, name)
    // Who is at work here gives drafts their names meanwhile.
    const { mtimeMs = Infinity } = statSync(home, { throwIfNoEntry: false }) ?? {}
    const isOld = Date.now() - mtimeMs >= youngMs
    if (!digests.has(name) && isOld) removeAside(home, aside)
  }
}
