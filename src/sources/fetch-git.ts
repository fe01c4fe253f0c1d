/**
 * A git repository at one commit, in the cache:
 *
 *   git/<sha256 of the URL>/<commit>/<name>/    the files, without .git
 *
 * A commit never changes, so what is there is used; for a branch or tag the server is asked which commit it is.
 */
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
import { TsstackError } from '../errors.ts'
import { cacheDirectory, cached } from './cache-directory.ts'
import type { GitReference } from './git-reference.ts'
import { runGit } from './run-git.ts'
import type { Environment } from './run-git.ts'

const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/
const KEY_LENGTH = 16

/** What to fetch so as to get a commit. */
interface Revision {
  readonly commit: string
  /** A full name such as `refs/heads/main`, or the commit. */
  readonly wanted: string
}

/**
 * The directory with the files of a repository.
 * @throws {FAILED_PRECONDITION} no git; {UNAVAILABLE} what git said; {NOT_FOUND} no such ref; {PERMISSION_DENIED} a link
 *   that leaves the repository, or a cache that can't be written
 */
export async function fetchGit(reference: GitReference, env: Environment): Promise<string> {
  const key = createHash('sha256').update(reference.url).digest('hex').slice(0, KEY_LENGTH)
  const place = join(cacheDirectory(env), 'git', key)
  const { ref = '' } = reference
  const known = join(place, ref, reference.name)
  if (COMMIT.test(ref) && existsSync(known)) return known
  const revision = await findRevision(reference, env)
  const checkout = await cached(join(place, revision.commit), async (draft) => {
    await checkOut(revision, { reference, env, directory: join(draft, reference.name) })
  })
  return join(checkout, reference.name)
}

async function findRevision(reference: GitReference, env: Environment): Promise<Revision> {
  const { url, ref = 'HEAD' } = reference
  if (COMMIT.test(ref)) return { commit: ref, wanted: ref }
  const listed = await runGit(['ls-remote', '--', url, ref, `${ref}^{}`], reference, env)
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

interface CheckOut {
  readonly reference: GitReference
  readonly env: Environment
  readonly directory: string
}

async function checkOut(
  { wanted, commit }: Revision,
  { reference, env, directory }: CheckOut,
): Promise<void> {
  const git = (...words: string[]): Promise<string> => runGit(words, reference, env)
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
