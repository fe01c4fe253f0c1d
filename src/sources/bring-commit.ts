/** Brings one commit into a repository, with as little else as its server lets one have. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TsstackError, toTsstackError } from '../errors.ts'
import { REF_NAME } from './git-reference.ts'

/** What to fetch so as to get a commit. */
export interface Revision {
  readonly commit: string
  /** A full name such as `refs/heads/main`, or the commit. */
  readonly wanted: string
}

/** Runs git in a repository. */
export type Git = (words: readonly string[], input?: string) => Promise<string>

export interface LocalRepository {
  readonly git: Git
  /** Absolute; the work tree. */
  readonly directory: string
  /** Of the server. */
  readonly url: string
}

const PLAIN = ['--quiet', '--no-tags', '--no-recurse-submodules']
/**
 * What servers say that give a commit only by the name of a branch, as those do that speak an older protocol (by ssh, mostly). Plain
 * HTTP servers, which know no shallow history, stay refused: what they have comes in any number of files, which nothing limits.
 */
const ONLY_BY_NAME = /unadvertised object|not our ref/i

/**
 * FETCH_HEAD is the commit, or the tag that it has, when this returns.
 * @param treesFirst - files are left out as far as the server can do that: `fetchFiles` brings those that are wanted
 * @throws {UNAVAILABLE} what git said, or the branch has moved meanwhile
 */
export async function bringCommit(
  { git, directory, url }: LocalRepository,
  { wanted, commit }: Revision,
  treesFirst: boolean,
): Promise<void> {
  if (treesFirst) await expectMissing(git, url)
  const filter = treesFirst ? ['--filter=blob:none'] : []
  try {
    await git(['fetch', ...PLAIN, ...filter, '--depth', '1', '--', source(url, treesFirst), wanted])
  } catch (error) {
    const { message } = toTsstackError(error)
    if (wanted !== commit || !ONLY_BY_NAME.test(message)) throw error
    await fetchAll(git, url)
    writeFileSync(join(directory, '.git', 'FETCH_HEAD'), `${commit}\n`)
  }
  const fetched = (await git(['rev-parse', '--verify', 'FETCH_HEAD^{commit}'])).trim()
  if (fetched === commit) return
  throw new TsstackError('UNAVAILABLE', `it changed meanwhile: ${fetched} is not ${commit}`, {
    hint: 'try again',
  })
}

/** A repository that lacks files has to know where they could be had. */
async function expectMissing(git: Git, url: string): Promise<void> {
  for (const [name, value] of [
    ['core.repositoryFormatVersion', '1'],
    ['extensions.partialClone', 'origin'],
    ['remote.origin.url', url],
    ['remote.origin.promisor', 'true'],
    ['remote.origin.partialCloneFilter', 'blob:none'],
  ] as const)
    await git(['config', name, value])
}

function source(url: string, treesFirst: boolean): string {
  return treesFirst ? 'origin' : url
}

/**
 * With its history, in one pack: no name says which branch it is of. Names are asked for one by one and not kept: by a pattern
 * each would be a file here, and a server has as many of them as it likes.
 */
async function fetchAll(git: Git, url: string): Promise<void> {
  const listed = await git(['ls-remote', '--heads', '--tags', '--refs', '--', url])
  const names = listed.split('\n').flatMap((line) => {
    const name = line.split('\t')[1] ?? ''
    return REF_NAME.test(name) ? [`${name}\n`] : []
  })
  await git(['fetch', ...PLAIN, '--stdin', '--', url], names.join(''))
}

/** Brings files of a commit that were left out: at once, not one by one as git would on its own. */
export async function fetchFiles({ git }: LocalRepository, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  const words = ['fetch', ...PLAIN, '--filter=blob:none', '--depth', '1', '--stdin', 'origin']
  try {
    await git(words, ids.map((id) => `${id}\n`).join(''))
  } catch (error) {
    // Such a server has left nothing out, as a rule; if it has, git says so when the files are written.
    if (!ONLY_BY_NAME.test(toTsstackError(error).message)) throw error
  }
}
