/** What ADD names that lies elsewhere: files of URLs, git repositories. It comes into a directory that the build throws away. */
import fs from 'node:fs'
import path from 'node:path'
import type { LayerDraft } from '../engine/images/image-builds.ts'
import { O_PATH } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import { addGit, isGitRepository } from './add-git.ts'
import { addUrl } from './add-url.ts'
import type { Added, FetchOptions } from './added.ts'
import type { CopyPart } from './copy-step.ts'
import type { Build } from './layer-step.ts'
import { findSources } from './source-tree.ts'

const REMOTE = /^(?:https?|git|ssh):\/\/|^[\w.-]+@[\w.-]+:/

/** A word of ADD that names nothing of the context. */
export function isRemote(source: string): boolean {
  return REMOTE.test(source)
}

/** @param work - is given what was found, until it ends */
export async function withAdded<T>(
  build: Build,
  words: readonly string[],
  options: FetchOptions,
  work: (added: readonly Added[]) => Promise<T>,
): Promise<T> {
  if (words.length === 0) return work([])
  if (options.checksum !== undefined && words.length !== 1)
    throw new TsstackError('INVALID_ARGUMENT', '"--checksum" is for exactly one source')
  // Swept when the daemon is killed, as drafts are.
  const draft: LayerDraft = await build.host.builds.draft([], 0)
  try {
    const found = words.map((word, index) => {
      const directory = path.join(draft.content.path, String(index))
      fs.mkdirSync(directory)
      if (!isGitRepository(word)) return addUrl(word, directory, options)
      return addGit(word, directory, { ...options, input: build.input })
    })
    await Promise.allSettled(found) // none may go on without its directory
    return await work(await Promise.all(found))
  } finally {
    await draft.discard()
  }
}

/** Fetches what is not there yet. */
export async function withAddedParts<T>(
  added: readonly Added[],
  { unpack }: { readonly unpack: boolean },
  work: (parts: readonly CopyPart[]) => Promise<T>,
): Promise<T> {
  const opened: number[] = []
  const parts: CopyPart[] = []
  try {
    for (const { directory, path: file, isGit, fetch } of added) {
      await fetch()
      const rootFd = fs.openSync(directory, O_PATH | fs.constants.O_DIRECTORY)
      opened.push(rootFd)
      const tree = { name: 'the repository', rootFd, keepsOwner: false }
      const sources = isGit
        ? await findSources(tree, file)
        : [{ path: file, isDirectory: false, pivot: 0 }]
      parts.push({ tree, sources, unpack: unpack && !isGit })
    }
    return await work(parts)
  } finally {
    for (const fd of opened) fs.closeSync(fd)
  }
}
