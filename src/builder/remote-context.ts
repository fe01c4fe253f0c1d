/** A context that lies elsewhere: a git repository, an archive, or a Dockerfile without any other file. Fetched as ADD fetches. */
import fs from 'node:fs'
import path from 'node:path'
import { O_PATH } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import { isArchive, unpackArchive } from './add-archive.ts'
import { addGit, isGitRepository, type GitFetchOptions } from './add-git.ts'
import { addUrl } from './add-url.ts'

const [FETCHED, CONTEXT] = ['fetched', 'context']

/** A directory of a repository may be a link; it leads to nothing outside. @throws {NOT_FOUND} */
function within(root: string, below: string): string {
  const place = path.join(root, below)
  const found = fs.existsSync(place) ? fs.realpathSync(place) : ''
  if (`${found}/`.startsWith(`${fs.realpathSync(root)}/`)) return found
  throw new TsstackError('NOT_FOUND', `there is no "${below}" in the repository`)
}

/** @returns whether it was one */
async function unpackInto(directory: string, name: string, root: string): Promise<boolean> {
  const rootFd = fs.openSync(directory, O_PATH | fs.constants.O_DIRECTORY)
  try {
    const tree = { name: 'what was fetched', rootFd, keepsOwner: false }
    const source = { path: name, isDirectory: false, pivot: 0 }
    if (!(await isArchive(tree, source))) return false
    await unpackArchive(tree, source, { root, target: [] })
    return true
  } finally {
    fs.closeSync(rootFd)
  }
}

/**
 * @param url - `https://host/repository.git#ref:directory`, or what HTTP gives
 * @param directory - empty, and the caller's to remove
 * @returns the directory that is the context
 * @throws as `addGit` and `addUrl`; {INVALID_ARGUMENT} an archive that is damaged or hostile
 */
export async function fetchContext(
  url: string,
  directory: string,
  options: Pick<GitFetchOptions, 'input' | 'reachesHost' | 'signal'>,
): Promise<string> {
  const fetched = path.join(directory, FETCHED)
  const context = path.join(directory, CONTEXT)
  fs.mkdirSync(fetched)
  fs.mkdirSync(context)
  const all = { ...options, checksum: undefined, keepGitDir: false }
  if (isGitRepository(url)) {
    const repository = await addGit(url, fetched, all)
    await repository.fetch()
    return within(fetched, repository.path)
  }
  const { path: name } = await addUrl(url, fetched, all)
  if (!(await unpackInto(fetched, name, context)))
    fs.renameSync(path.join(fetched, name), path.join(context, 'Dockerfile'))
  return context
}
