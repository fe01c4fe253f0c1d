/**
 * One commit of a git repository as plain files: which commit a name is, and its files without `.git`. Whoever serves the
 * repository is not trusted: nothing in it is run, and no link in it leads out of it.
 */
import { lstatSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import { TsstackError } from '../errors.ts'
import type { GitReference } from './git-reference.ts'
import { runGit } from './run-git.ts'
import type { Environment, GitOptions } from './run-git.ts'

/** A whole commit id, of SHA-1 or of SHA-256. */
export const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/

/** What to fetch so as to get a commit. */
export interface Revision {
  readonly commit: string
  /** A full name such as `refs/heads/main`, or the commit. */
  readonly wanted: string
}

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
}

/**
 * Fetches a commit, and nothing before it, and writes its files.
 * @throws {UNAVAILABLE} what git said; {PERMISSION_DENIED} a link that leaves the repository
 */
export async function checkOut(
  { wanted, commit }: Revision,
  { reference, env, options = {}, directory, inspect }: CheckOut,
): Promise<void> {
  const git = (...words: string[]): Promise<string> => runGit(words, reference, env, options)
  const within = ['-C', directory]
  await git('init', '--quiet', '--template=', '--', directory)
  await git(
    ...[...within, 'fetch', '--quiet', '--depth', '1', '--no-tags', '--no-recurse-submodules'],
    ...['--', reference.url, wanted],
  )
  const fetched = (await git(...within, 'rev-parse', '--verify', 'FETCH_HEAD^{commit}')).trim()
  if (fetched !== commit) {
    throw new TsstackError('UNAVAILABLE', `it changed meanwhile: ${fetched} is not ${commit}`, {
      hint: 'try again',
    })
  }
  await inspect?.(directory)
  await git(...within, 'checkout', '--quiet', '--detach', commit)
  rmSync(join(directory, '.git'), { recursive: true, force: true })
  refuseOutwardLinks(directory)
}

/** A link that leaves the repository would make files of this machine look like files of the repository. */
function refuseOutwardLinks(root: string): void {
  const real = realpathSync(root)
  const pending = [real]
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const name of readdirSync(directory)) {
      const path = join(directory, name)
      const stat = lstatSync(path)
      if (stat.isDirectory()) pending.push(path)
      else if (stat.isSymbolicLink() && !staysWithin(real, path)) {
        throw new TsstackError(
          'PERMISSION_DENIED',
          `its link "${path.slice(real.length + 1)}" leaves the repository`,
          { hint: 'replace the link by a file' },
        )
      }
    }
  }
}

function staysWithin(root: string, link: string): boolean {
  const isWithin = (path: string): boolean => path === root || path.startsWith(root + sep)
  if (!isWithin(resolve(dirname(link), readlinkSync(link)))) return false
  try {
    return isWithin(realpathSync(link))
  } catch {
    // It leads nowhere, or in a circle.
    return true
  }
}
