/**
 * What containers mount of a repository: each file or directory under the digest of its content, made once and never
 * changed. A commit that does not touch it leaves its path, and so the containers that mount it, as they are; one that
 * does gets a new path, and the old one goes when no container and no release has it.
 *
 *   <root>/<sha256>/<name>     plain files and directories, readable by every container
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { TsstackError } from '../errors.ts'

const DIRECTORY_MODE = 0o755
const PROGRAM_MODE = 0o755
const FILE_MODE = 0o644
const EXECUTABLE = 0o100

interface Entry {
  /** Relative to what is stored; empty for itself. */
  readonly path: string
  readonly kind: 'file' | 'program' | 'directory' | 'link'
}

/** What lies below a path, itself first, in an order that depends on the names alone. */
function entriesOf(source: string, path = ''): Entry[] {
  const place = join(source, path)
  const stat = lstatSync(place)
  if (stat.isSymbolicLink()) return [{ path, kind: 'link' }]
  if (stat.isFile()) return [{ path, kind: (stat.mode & EXECUTABLE) === 0 ? 'file' : 'program' }]
  if (!stat.isDirectory())
    throw new TsstackError('PERMISSION_DENIED', `Cannot take "${place}": it is no plain file`)
  const below = readdirSync(place).sort()
  return [
    { path, kind: 'directory' },
    ...below.flatMap((name) => entriesOf(source, join(path, name))),
  ]
}

/** sha256 over names, kinds and contents, 64 hexadecimal digits. @param source - absolute, a real path */
export function digestOfTree(source: string): string {
  const hash = createHash('sha256')
  for (const { path, kind } of entriesOf(source)) {
    const place = join(source, path)
    hash.update(`${kind}\0${path}\0`)
    if (kind === 'directory') continue
    const content = kind === 'link' ? Buffer.from(readlinkSync(place)) : readFileSync(place)
    hash.update(`${String(content.length)}\0`).update(content)
  }
  return hash.digest('hex')
}

/**
 * Stores a file or directory of a checkout, unless it is there already.
 * @param source - absolute, a real path, on the same file system
 * @returns its place in the store
 */
export function storeContent(root: string, source: string): string {
  const home = join(root, digestOfTree(source))
  const place = join(home, basename(source))
  if (existsSync(place)) return place
  const draft = mkdtempSync(join(root, '.draft-'))
  try {
    copyTree(source, join(draft, basename(source)))
    chmodSync(draft, DIRECTORY_MODE)
    if (existsSync(home)) renameSync(join(draft, basename(source)), place)
    else renameSync(draft, home)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return place
}

/** Files are shared with the checkout, which does not change either; modes are those of git, whatever the umask was. */
function copyTree(source: string, target: string): void {
  for (const { path, kind } of entriesOf(source)) {
    const [from, to] = [join(source, path), join(target, path)]
    if (kind === 'directory') mkdirSync(to)
    else if (kind === 'link') symlinkSync(readlinkSync(from), to)
    else linkSync(from, to)
    if (kind !== 'link') chmodSync(to, modeOf(kind))
  }
}

function modeOf(kind: Exclude<Entry['kind'], 'link'>): number {
  if (kind === 'directory') return DIRECTORY_MODE
  return kind === 'program' ? PROGRAM_MODE : FILE_MODE
}

/** Removes what nobody keeps. @param kept - directories of the store, as `storeContent` gives them, or paths below */
export function collectContent(root: string, kept: ReadonlySet<string>): void {
  const digests = new Set(
    [...kept]
      .filter((path) => path.startsWith(`${root}/`))
      .map((path) => path.slice(root.length + 1).split('/', 1)[0]),
  )
  for (const name of readdirSync(root)) {
    if (!digests.has(name)) rmSync(join(root, name), { recursive: true, force: true })
  }
}
