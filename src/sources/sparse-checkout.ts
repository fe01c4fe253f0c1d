/**
 * A part of a commit as files: some directories with all that is below them, and the plain files of the directories above, which
 * is the cone of git-sparse-checkout(1). What lies elsewhere is neither fetched, where the server can do that, nor written.
 */
import { dirname } from 'node:path/posix'
import { TsstackError } from '../errors.ts'
import { fetchFiles, type LocalRepository } from './bring-commit.ts'
import { refuseHuge } from './refuse-huge.ts'

const GITLINK = '160000'

interface Entry {
  readonly mode: string
  readonly id: string
  readonly path: string
}

/**
 * @param directories - relative to the repository's root; empty text: all of it
 * @throws {NOT_FOUND} one that the commit does not have; {PERMISSION_DENIED} too much
 */
export async function writeSparse(
  repository: LocalRepository,
  commit: string,
  directories: readonly string[],
): Promise<void> {
  const { git } = repository
  const list = async (words: readonly string[]): Promise<Entry[]> =>
    entriesIn(await git(['--literal-pathspecs', 'ls-tree', '-z', ...words]))
  const found: Entry[] = []
  for (const directory of directories) {
    // What is listed is limited, and with it (-t) how many directories there are to make.
    const below = await list(['-r', '-t', commit, ...(directory === '' ? [] : ['--', directory])])
    if (below.length === 0)
      throw new TsstackError('NOT_FOUND', `it has no directory "${directory}"`)
    found.push(...below)
  }
  for (const parent of parentsOf(directories))
    found.push(...(await list([commit, ...(parent === '' ? [] : ['--', `${parent}/`])])))
  const files = new Map(found.filter(isFile).map((entry) => [entry.path, entry]))
  await fetchFiles(repository, [...new Set([...files.values()].map(({ id }) => id))])
  const ids = [...files.values()].map(({ id }) => `${id}\n`).join('')
  refuseHuge(await git(['cat-file', '--batch-check=%(objectsize)'], ids))
  const paths = [...files.keys()].map((path) => `${path}\0`).join('')
  const words = ['checkout', '--quiet', '--pathspec-from-file=-', '--pathspec-file-nul', commit]
  if (paths !== '') await git(['--literal-pathspecs', ...words], paths)
}

function isFile({ mode }: Entry): boolean {
  return mode !== GITLINK && !mode.startsWith('04')
}

/** `MODE TYPE ID\tPATH`, each ended by NUL. */
function entriesIn(listed: string): Entry[] {
  return listed.split('\0').flatMap((line) => {
    const [, mode, id, path] = /^(\d{6}) \w+ ([0-9a-f]{40,64})\t(.+)$/s.exec(line) ?? []
    return mode === undefined || id === undefined || path === undefined ? [] : [{ mode, id, path }]
  })
}

/** All directories above, the root (an empty text) among them. */
function parentsOf(directories: readonly string[]): ReadonlySet<string> {
  const parents = new Set<string>([''])
  for (const directory of directories)
    for (let at = dirname(directory); at !== '.' && at !== '/'; at = dirname(at)) parents.add(at)
  return parents
}
