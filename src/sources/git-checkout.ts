/**
 * One commit of a git repository as plain files: which commit a name is, and its files without `.git`. Whoever serves the
 * repository is not trusted: nothing in it is run, and no link in it leads out of it.
 */
import { mkdir, readdir, readlink, realpath, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { TsstackError } from '../errors.ts'
import type { GitReference } from './git-reference.ts'
import { bringCommit, type Git, type Revision } from './bring-commit.ts'
import { refuseHuge } from './refuse-huge.ts'
import { runGit } from './run-git.ts'
import { writeSparse } from './sparse-checkout.ts'
import type { Environment, GitOptions } from './run-git.ts'

/** A whole commit id, of SHA-1 or of SHA-256. */
export const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/

/**
 * Asks the server which commit a reference is.
 * @throws {FAILED_PRECONDITION} no git; {UNAVAILABLE} what git said; {NOT_FOUND} no such ref
 */
export async function findRevision(
  reference: GitReference,
  env: Environment,
  options: GitOptions = {},
): Promise<Revision> {
  const { url, ref = 'HEAD' } = reference
  if (COMMIT.test(ref)) return { commit: ref, wanted: ref }
  const words = ['ls-remote', '--', url, ref, `${ref}^{}`]
  const listed = await runGit(words, reference, env, options)
  const commits = new Map(
    listed.split('\n').flatMap((line) => {
      const [commit = '', name = ''] = line.split('\t')
      return COMMIT.test(commit) ? [[name, commit] as const] : []
    }),
  )
  for (const wanted of [ref, `refs/heads/${ref}`, `refs/tags/${ref}`]) {
    const found = commits.get(wanted)
    // A tag with a message is an object of its own, and `^{}` is what it is about.
    if (found !== undefined) return { wanted, commit: commits.get(`${wanted}^{}`) ?? found }
  }
  throw new TsstackError('NOT_FOUND', `it has no branch or tag "${ref}"`, {
    hint: 'name one that is there, or a whole commit id',
  })
}

export interface CheckOut {
  readonly reference: GitReference
  readonly env: Environment
  readonly options?: GitOptions
  /** Made; absolute. */
  readonly directory: string
  /** Told the repository's directory when the commit has come and before its files are written; may refuse it. */
  readonly inspect?: (directory: string) => Promise<void>
  /** Only these directories of the repository, and the files beside them and above; absent: all. */
  readonly sparse?: readonly string[]
}

/**
 * Fetches a commit, and nothing before it where the server can do that, and writes its files, with links wherever they lead.
 * @returns when it was committed, in seconds since the epoch
 * @throws {UNAVAILABLE} what git said; {PERMISSION_DENIED} it is too much; {NOT_FOUND} a directory that it does not have
 */
export async function fetchCommit(
  revision: Revision,
  { reference, env, options = {}, directory, inspect, sparse }: CheckOut,
): Promise<{ readonly seconds: number }> {
  const { commit } = revision
  await runGit(['init', '--quiet', '--template=', '--', directory], reference, env, options)
  const attributes = await overruleAttributes(directory)
  const git: Git = (words, input = '') =>
    runGit(['-C', directory, ...words], reference, env, { ...options, input })
  const repository = { git, directory, url: reference.url }
  await bringCommit(repository, revision, sparse !== undefined)
  await inspect?.(directory)
  if (sparse === undefined) {
    refuseHuge(await git(['ls-tree', '-r', '-t', '--format=%(objectsize)', commit]))
    await git(['checkout', '--quiet', '--detach', commit])
  } else await writeSparse(repository, commit, sparse)
  await rm(attributes, { recursive: true })
  const time = await git(['log', '-1', '--no-show-signature', '--format=%ct', commit])
  return { seconds: Number(time) }
}

/**
 * Files are written as they were committed, whatever a `.gitattributes` says (man 5 gitattributes; this place comes before it): `ident`
 * makes them many times as large, and filters are programs that somebody has installed on this host.
 * @returns what holds them
 */
async function overruleAttributes(directory: string): Promise<string> {
  const info = join(directory, '.git', 'info')
  await mkdir(info)
  await writeFile(
    join(info, 'attributes'),
    '* -text -crlf -ident !eol !filter !working-tree-encoding\n',
  )
  return info
}

/**
 * The files of a commit, without `.git`.
 * @throws as `fetchCommit`; {PERMISSION_DENIED} a link that leaves the repository
 */
export async function checkOut(revision: Revision, options: CheckOut): Promise<void> {
  const { directory } = options
  await fetchCommit(revision, options)
  await rm(join(directory, '.git'), { recursive: true, force: true })
  await refuseOutwardLinks(directory)
}

/** A link that leaves the repository would make files of this machine look like files of the repository. */
async function refuseOutwardLinks(root: string): Promise<void> {
  const real = await realpath(root)
  const pending = [real]
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) pending.push(path)
      else if (entry.isSymbolicLink() && !(await staysWithin(real, path))) {
        throw new TsstackError(
          'PERMISSION_DENIED',
          `its link "${path.slice(real.length + 1)}" leaves the repository`,
          { hint: 'replace the link by a file' },
        )
      }
    }
  }
}

async function staysWithin(root: string, link: string): Promise<boolean> {
  const isWithin = (path: string): boolean => path === root || path.startsWith(root + sep)
  if (!isWithin(resolve(dirname(link), await readlink(link)))) return false
  try {
    return isWithin(await realpath(link))
  } catch {
    // It leads nowhere, or in a circle.
    return true
  }
}
