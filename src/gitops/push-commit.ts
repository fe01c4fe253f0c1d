/**
 * Adds one commit to a branch of a source's repository. It is made of git's own objects, without a work tree: nothing of the
 * repository is checked out, filtered or run. It is pushed without force: who was faster has won.
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TsstackError, toTsstackError } from '../errors.ts'
import { findRevision } from '../sources/git-checkout.ts'
import { runGit } from '../sources/run-git.ts'
import type { GitAccess } from './git-access.ts'
import { openSigningKey, type SigningKey } from './signing-key.ts'

export interface CommitWish {
  readonly access: GitAccess
  /** The commit that the change is about: the branch that is followed must still be there. */
  readonly base: string
  /** Another branch to push to; absent: the one that is followed. */
  readonly branch?: string
  /** By path in the repository: the new text of a file. May throw. */
  readonly edits: ReadonlyMap<string, (text: string) => string>
  readonly message: string
  /** `NAME <EMAIL>`. */
  readonly author: string
  readonly signKeyFile?: string
  /** A directory to work in; 0700. */
  readonly scratch: string
}

/** What there is now. `overtaken`: somebody has pushed meanwhile, and nothing was done. */
export type PushOutcome =
  | { readonly kind: 'pushed'; readonly commit: string; readonly branch: string }
  | { readonly kind: 'overtaken' }

const HEADS = 'refs/heads/'
const OVERTAKEN: PushOutcome = { kind: 'overtaken' }
/** What git-ls-tree(1) prints: only plain files are edited. */
const FILE_ENTRY = /^(100644|100755) blob ([0-9a-f]{40,64})\t/

type Git = (...words: string[]) => Promise<string>

/**
 * @throws {FAILED_PRECONDITION} what is followed is no branch, or a file is not as it was; {UNAVAILABLE} what git said;
 *   and what an edit throws
 */
export async function pushCommit(wish: CommitWish): Promise<PushOutcome> {
  const { access, base } = wish
  const followed = await findRevision(access.reference, access.env, access.options)
  if (followed.commit !== base) return OVERTAKEN
  const target = wish.branch ?? (await branchOf(access, followed.wanted))
  const directory = mkdtempSync(join(wish.scratch, 'push-'))
  let key: SigningKey | undefined
  try {
    if (wish.signKeyFile !== undefined) key = await openSigningKey(wish.signKeyFile, directory)
    const git = gitOf(access, join(directory, 'git'), { wish, key })
    await runGit(
      ['init', '--quiet', '--bare', '--template=', '--', join(directory, 'git')],
      access.reference,
      access.env,
      access.options,
    )
    if ((await fetched(git, access, followed.wanted)) !== base) return OVERTAKEN
    const parents = wish.branch === undefined ? [base] : await parentsOf(git, wish, target)
    const tree = await editedTree(git, wish, directory)
    const commit = await commitOf(git, { wish, tree, parents, signs: key !== undefined })
    return await push(git, { access, commit, target, parent: parents[0] ?? base })
  } finally {
    await key?.close()
    await rm(directory, { recursive: true, force: true })
  }
}

function gitOf(
  access: GitAccess,
  directory: string,
  { wish, key }: { readonly wish: CommitWish; readonly key: SigningKey | undefined },
): Git {
  const [, name = '', email = ''] = /^(.*) <(.*)>$/.exec(wish.author) ?? []
  const env = {
    ...access.env,
    ...key?.env,
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
  }
  const settings = [...(access.options.settings ?? []), ...(key?.settings ?? [])]
  const options = { ...access.options, settings }
  return (...words) => runGit(['-C', directory, ...words], access.reference, env, options)
}

/** @returns the branch's full name without `refs/heads/` */
async function branchOf({ reference, env, options }: GitAccess, wanted: string): Promise<string> {
  if (wanted.startsWith(HEADS)) return wanted.slice(HEADS.length)
  if (wanted === 'HEAD') {
    const words = ['ls-remote', '--symref', '--', reference.url, 'HEAD']
    const listed = await runGit(words, reference, env, options)
    const branch = /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(listed)?.[1]
    if (branch !== undefined) return branch
  }
  throw new TsstackError('FAILED_PRECONDITION', `Cannot write to "${wanted}": it is no branch`, {
    hint: 'Name one to write to by --push-branch',
  })
}

/** @returns the commit */
async function fetched(git: Git, { reference }: GitAccess, wanted: string): Promise<string> {
  await git('fetch', '--quiet', '--depth', '1', '--no-tags', '--', reference.url, wanted)
  return (await git('rev-parse', '--verify', 'FETCH_HEAD^{commit}')).trim()
}

/** The new commit follows what the branch has, and what it is about: so it can be pushed without force. */
async function parentsOf(
  git: Git,
  { access, base }: CommitWish,
  branch: string,
): Promise<string[]> {
  const { reference, env, options } = access
  const words = ['ls-remote', '--', reference.url, HEADS + branch]
  const listed = await runGit(words, reference, env, options)
  if (listed.trim() === '') return [base]
  const tip = await fetched(git, access, HEADS + branch)
  return tip === base ? [base] : [tip, base]
}

/** The tree of the base with the edits. */
async function editedTree(git: Git, { base, edits }: CommitWish, scratch: string): Promise<string> {
  await git('read-tree', base)
  for (const [path, edit] of edits) {
    const [, mode, blob] = FILE_ENTRY.exec(await git('ls-tree', base, '--', path)) ?? []
    if (mode === undefined || blob === undefined) throw notEditable(path, 'it is no plain file')
    const text = await git('cat-file', 'blob', blob)
    if (Buffer.byteLength(text) !== Number(await git('cat-file', '-s', blob)))
      throw notEditable(path, 'it is not UTF-8')
    const file = join(scratch, 'edited')
    writeFileSync(file, edit(text))
    const written = (await git('hash-object', '-w', '--no-filters', '--', file)).trim()
    await git('update-index', '--cacheinfo', `${mode},${written},${path}`)
  }
  return (await git('write-tree')).trim()
}

function notEditable(path: string, state: string): TsstackError {
  return new TsstackError('FAILED_PRECONDITION', `Cannot change "${path}": ${state}`)
}

interface NewCommit {
  readonly wish: CommitWish
  readonly tree: string
  readonly parents: readonly string[]
  readonly signs: boolean
}

async function commitOf(git: Git, { wish, tree, parents, signs }: NewCommit): Promise<string> {
  const words = [
    'commit-tree',
    ...(signs ? ['-S'] : []),
    ...parents.flatMap((parent) => ['-p', parent]),
    ...['-m', wish.message, tree],
  ]
  return (await git(...words)).trim()
}

interface Push {
  readonly access: GitAccess
  readonly commit: string
  readonly target: string
  /** What the branch is at, as far as is known. */
  readonly parent: string
}

async function push(git: Git, { access, commit, target, parent }: Push): Promise<PushOutcome> {
  const words = ['--no-verify', '--no-follow-tags', '--recurse-submodules=no']
  try {
    await git(
      'push',
      '--quiet',
      ...words,
      '--',
      access.reference.url,
      `${commit}:${HEADS}${target}`,
    )
    return { kind: 'pushed', commit, branch: target }
  } catch (error) {
    if (await hasMoved(access, target, parent)) return OVERTAKEN
    const { message, code } = toTsstackError(error)
    throw new TsstackError(code, `Cannot push to "${target}": ${message}`, { cause: error })
  }
}

/** Whether the branch is at something else than was built upon: then git has refused it, or some hook has been overtaken. */
async function hasMoved(access: GitAccess, branch: string, parent: string): Promise<boolean> {
  const { reference, env, options } = access
  try {
    const words = ['ls-remote', '--', reference.url, HEADS + branch]
    const tip = (await runGit(words, reference, env, options)).split('\t', 1)[0] ?? ''
    return tip !== '' && tip.trim() !== parent
  } catch {
    return false
  }
}
