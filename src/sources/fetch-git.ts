/**
 * A git repository at one commit, in the cache:
 *
 *   git/<sha256 of the URL>/<commit>/<name>/    the files, without .git
 *
 * A commit never changes, so what is there is used; for a branch or tag the server is asked which commit it is.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirectory, cached } from './cache-directory.ts'
import { checkOut, COMMIT, findRevision } from './git-checkout.ts'
import type { GitReference } from './git-reference.ts'
import type { Environment } from './run-git.ts'

const KEY_LENGTH = 16

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
