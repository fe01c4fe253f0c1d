/** Copying files out of a container and into it. The container may run; its paths mean what they mean to it. */
import { closeSync, constants, fstatSync, lstatSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import type { FileQuery, FileState } from '../api/file-types.ts'
import { sourceFromChunks } from '../engine/images/byte-source.ts'
import { copyIntoTree } from '../engine/images/copy-into-tree.ts'
import { archiveEntry, archiveTree } from '../engine/images/tree-archive.ts'
import { O_DIRECTORY, Open } from '../kernel/constants.ts'
import { openConfined, RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import { SyscallError } from '../kernel/libc.ts'
import { TsstackError } from '../errors.ts'
import type { OpenedArchive } from './container-changes.ts'
import { openRootOf, type OpenedRoot } from './container-root.ts'
import type { Context } from './context.ts'

const { O_NOFOLLOW } = constants
const MAX_LINKS = 40 // MAXSYMLINKS, include/linux/namei.h
const IN_ROOT = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS

function openPath(root: OpenedRoot, file: string, flags = 0): number {
  return tryOpenConfined(root.fd, file, { flags: Open.PATH | flags, resolve: IN_ROOT })
}

/** What is at a path; links are followed. */
export async function fileState(context: Context, id: string, file: string): Promise<FileState> {
  const root = await openRootOf(context, id)
  try {
    const fd = openPath(root, file)
    if (fd < 0) return { exists: false, isDirectory: false }
    const isDirectory = fstatSync(fd).isDirectory()
    closeSync(fd)
    return { exists: true, isDirectory }
  } finally {
    root.close()
  }
}

interface Source {
  readonly chunks: AsyncGenerator<Buffer>
  readonly fd: number
}

/** A path that says by itself that it is a directory: then a link is followed. */
function saysDirectory(file: string): boolean {
  return /(^|\/)\.{0,2}$/.test(file)
}

function openSource(root: OpenedRoot, { path: file, follow, name }: FileQuery): Source {
  const { owner } = root
  const whole = saysDirectory(file) || follow ? openPath(root, file) : -1
  if (whole >= 0 && fstatSync(whole).isDirectory())
    return { chunks: archiveTree(whole, { owner, name }), fd: whole }
  if (whole >= 0) closeSync(whole)
  const real = follow ? followed(root, file) : file
  const flags = Open.PATH | O_DIRECTORY
  const parent = openConfined(root.fd, path.posix.dirname(real), { flags, resolve: IN_ROOT })
  const entry = { name: path.posix.basename(real), as: name }
  const probe = tryOpenConfined(parent, entry.name, {
    flags: Open.PATH | O_NOFOLLOW,
    resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS,
  })
  if (probe < 0) {
    closeSync(parent)
    throw notFound(file)
  }
  closeSync(probe)
  return { chunks: archiveEntry(parent, entry, { owner }), fd: parent }
}

/** Where the links of a last component lead, one after the other, as the container sees it. */
function followed(root: OpenedRoot, file: string): string {
  let current = file
  for (let links = 0; links < MAX_LINKS; links++) {
    const target = readLink(root, current)
    if (target === undefined) return current
    current = path.posix.resolve('/', path.posix.dirname(current), target)
  }
  throw new TsstackError('INVALID_ARGUMENT', `Cannot copy "${file}": too many links`)
}

function readLink(root: OpenedRoot, file: string): string | undefined {
  const parent = openPath(root, path.posix.dirname(file), O_DIRECTORY)
  if (parent < 0) return undefined
  try {
    const at = `/proc/self/fd/${parent}/${path.posix.basename(file)}`
    const stats = lstatSync(at, { throwIfNoEntry: false })
    return stats?.isSymbolicLink() === true ? readlinkSync(at) : undefined
  } finally {
    closeSync(parent)
  }
}

function notFound(file: string): TsstackError {
  return new TsstackError('NOT_FOUND', `Cannot copy "${file}": the container has no such file`)
}

/**
 * A file or a directory of the container as an archive, in which it has the name that is asked for.
 * @throws {NOT_FOUND}
 */
export async function copyFromContainer(
  context: Context,
  id: string,
  query: FileQuery,
): Promise<OpenedArchive> {
  const root = await openRootOf(context, id)
  let source: Source
  try {
    source = openSource(root, query)
  } catch (error) {
    root.close()
    throw error instanceof SyscallError ? notFound(query.path) : error
  }
  let isOpen = true
  const close = (): void => {
    if (isOpen) closeSync(source.fd)
    isOpen = false
    root.close()
  }
  return { chunks: source.chunks, close }
}

/** Writes an archive into a directory of the container: see copy-into-tree.ts. */
export async function copyIntoContainer(
  context: Context,
  id: string,
  target: {
    readonly directory: string
    readonly keepIds: boolean
    readonly chunks: AsyncIterable<Buffer>
  },
): Promise<void> {
  const root = await openRootOf(context, id)
  try {
    const { directory, keepIds, chunks } = target
    const into = { rootFd: root.fd, owner: root.owner, directory, keepIds }
    await copyIntoTree(sourceFromChunks(chunks), into)
  } finally {
    root.close()
  }
}
