/**
 * Commits as directories, each made once and never changed:
 *
 *   <root>/<source>/<repository>/<commit>/<name>/     the files, without .git
 *   <root>/<source>/<repository>/<commit>/commit.json what of the commit is shown
 *   <root>/.drafts/                                   being made; emptied when the daemon starts
 *
 * A commit is there only if its signature, or that of the tag that was asked for, was good for the keys that the source
 * had then: these and the name are part of `<repository>`, a digest of where it comes from.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { GitSource } from '../api/gitops-types.ts'
import { canonicalJson, sha256 } from '../planner/config-hash.ts'
import type { Revision } from '../sources/bring-commit.ts'
import { checkOut } from '../sources/git-checkout.ts'
import { runGit } from '../sources/run-git.ts'
import type { GitAccess } from './git-access.ts'
import { removeAside } from './remove-aside.ts'
import { verifySignature } from './verify-signature.ts'

const DRAFTS = '.drafts'
const KEY_LENGTH = 16
const MAX_SUBJECT = 200

export interface Checkout {
  readonly commit: string
  readonly subject: string
  readonly author: string
  /** Absolute: the repository's files. */
  readonly root: string
}

export interface KeptCheckouts {
  /** Absolute, in checkouts. */
  readonly paths: readonly string[]
  readonly commits: ReadonlySet<string>
  /** All of theirs. */
  readonly sources: ReadonlySet<string>
}

export interface Checkouts {
  /**
   * @throws {UNAVAILABLE} what git said; {PERMISSION_DENIED} the signature, or a link that leaves the repository
   */
  get(source: GitSource, access: GitAccess, revision: Revision): Promise<Checkout>
  /** Where they are made; for others, too. Emptied when the daemon starts. */
  readonly scratch: string
  /** Removes what is not kept. */
  collect(kept: KeptCheckouts): void
}

export function openCheckouts(root: string): Checkouts {
  const drafts = join(root, DRAFTS)
  rmSync(drafts, { recursive: true, force: true })
  mkdirSync(drafts, { recursive: true, mode: 0o700 })
  return {
    scratch: drafts,
    async get(source, access, revision) {
      const home = join(root, source.name, keyOf(source), revision.commit)
      if (!existsSync(home)) await make(home, drafts, { source, access, revision })
      const shown = JSON.parse(readFileSync(join(home, 'commit.json'), 'utf8')) as CommitText
      return { ...shown, commit: revision.commit, root: join(home, access.reference.name) }
    },
    collect: ({ paths, commits, sources }) => {
      for (const home of commitDirectories(root)) {
        const [source = ''] = home.slice(root.length + 1).split('/', 1)
        const isKept =
          sources.has(source) ||
          commits.has(basename(home)) ||
          paths.some((path) => path.startsWith(`${home}/`))
        if (!isKept) removeAside(home, drafts)
      }
    },
  }
}

interface CommitText {
  readonly subject: string
  readonly author: string
}

interface Making {
  readonly source: GitSource
  readonly access: GitAccess
  readonly revision: Revision
}

function keyOf(source: GitSource): string {
  const { repo, ref, verifyKeys } = source
  const sparse = directoriesOf(source)
  return sha256(canonicalJson({ repo, ref, verifyKeys, sparse })).slice(0, KEY_LENGTH)
}

/** What of a commit is written: the directory that has the stack file, and what else was named. */
function directoriesOf({ path, sparse }: GitSource): readonly string[] | undefined {
  if (sparse === undefined) return undefined
  const own = /\.ya?ml$/.test(path) ? dirname(path) : path
  return [own === '.' ? '' : own.replace(/\/+$/, ''), ...sparse]
}

async function make(
  home: string,
  drafts: string,
  { source, access, revision }: Making,
): Promise<void> {
  const draft = mkdtempSync(join(drafts, 'commit-'))
  const { reference, env, options } = access
  let shown: CommitText = { subject: '', author: '' }
  const inspect = async (directory: string): Promise<void> => {
    const words = ['log', '-1', '--no-show-signature', '--format=%an%n%s', 'FETCH_HEAD']
    const text = await runGit(['-C', directory, ...words], reference, env, options)
    const [author = '', subject = ''] = text.split('\n')
    shown = { author: plain(author), subject: plain(subject) }
    if (source.verifyKeys.length > 0)
      await verifySignature(directory, { keys: source.verifyKeys, access, scratch: drafts })
  }
  try {
    const directory = join(draft, reference.name)
    const sparse = directoriesOf(source)
    await checkOut(revision, {
      ...{ reference, env, options, directory, inspect },
      ...(sparse === undefined ? {} : { sparse }),
    })
    writeFileSync(join(draft, 'commit.json'), JSON.stringify(shown))
    mkdirSync(dirname(home), { recursive: true, mode: 0o700 })
    renameSync(draft, home)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
}

/** Whoever commits writes it, and terminals show it. */
function plain(text: string): string {
  // eslint-disable-next-line no-control-regex -- those are what is taken out
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ').slice(0, MAX_SUBJECT)
}

function commitDirectories(root: string): string[] {
  const below = (directory: string): string[] =>
    readdirSync(directory).map((name) => join(directory, name))
  return below(root)
    .filter((directory) => !directory.endsWith(`/${DRAFTS}`))
    .flatMap(below)
    .flatMap(below)
}
