/**
 * A directory tree as a tar archive, while it is written: nothing is held but one chunk. The tree belongs to containers,
 * which may change it meanwhile: every path is resolved below its root and through no symlink (openat2), so that none
 * leads out of it, and a file that shrinks is filled up with zeros. Fifos, sockets and devices are left out.
 */
import fs from 'node:fs'
import { listXattrs, getXattr, openConfined, O_PATH, RESOLVE } from '../../kernel/file-calls.ts'
import type { LayerEntry } from './layer-entry.ts'
import { TAR_END, tarHeader, tarPadding } from './tar-writer.ts'

const CHUNK_BYTES = 256 << 10
const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
const CONFINED = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS

/** @param root - a directory; what lies on other file systems below it comes along */
export async function* archiveTree(root: string): AsyncGenerator<Buffer> {
  const rootFd = fs.openSync(root, O_PATH | O_DIRECTORY)
  try {
    yield tarHeader({ type: 'directory', ...attributesOf('', `/proc/self/fd/${rootFd}/.`) })
    yield* archiveDirectory({ rootFd, names: new Map() }, '')
    yield TAR_END
  } finally {
    fs.closeSync(rootFd)
  }
}

interface Archive {
  readonly rootFd: number
  /** First names of files that have several, by their inode. */
  readonly names: Map<string, string>
}

async function* archiveDirectory(archive: Archive, directory: string): AsyncGenerator<Buffer> {
  const flags = O_PATH | O_DIRECTORY
  const fd = tryGone(() =>
    openConfined(archive.rootFd, directory || '.', { flags, resolve: CONFINED }),
  )
  if (fd === undefined) return
  try {
    for (const name of (await fs.promises.readdir(`/proc/self/fd/${fd}`)).sort()) {
      const entry = { at: `/proc/self/fd/${fd}/${name}`, path: join(directory, name) }
      yield* archiveEntry(archive, entry)
    }
  } finally {
    fs.closeSync(fd)
  }
}

async function* archiveEntry(
  archive: Archive,
  { at, path }: { readonly at: string; readonly path: string },
): AsyncGenerator<Buffer> {
  const stats = fs.lstatSync(at, { throwIfNoEntry: false })
  if (stats === undefined) return
  const attributes = tryGone(() => attributesOf(path, at))
  if (attributes === undefined) return
  if (stats.isDirectory()) {
    yield tarHeader({ type: 'directory', ...attributes })
    yield* archiveDirectory(archive, path)
    return
  }
  if (!stats.isFile() && !stats.isSymbolicLink()) return
  const inode = `${stats.dev}:${stats.ino}`
  const first = archive.names.get(inode)
  if (first !== undefined) {
    const { xattrs, ...plain } = attributes
    yield tarHeader({ type: 'hardlink', target: first, ...plain })
    return
  }
  if (stats.nlink > 1) archive.names.set(inode, path)
  if (stats.isFile()) yield* archiveFile(archive, attributes)
  else {
    const target = tryGone(() => fs.readlinkSync(at))
    if (target !== undefined) yield tarHeader({ type: 'symlink', target, ...attributes })
  }
}

type Attributes = Omit<LayerEntry & { readonly type: 'directory' }, 'type'>

async function* archiveFile(archive: Archive, attributes: Attributes): AsyncGenerator<Buffer> {
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
  const { path } = attributes
  const fd = tryGone(() => openConfined(archive.rootFd, path, { flags, resolve: CONFINED }))
  if (fd === undefined) return
  try {
    const stats = fs.fstatSync(fd)
    if (!stats.isFile()) return // replaced since
    const { size } = stats
    yield tarHeader({ type: 'file', source: path, size, ...attributes })
    for (let at = 0; at < size;) {
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - at))
      await readFully(fd, chunk, at)
      at += chunk.length
      yield chunk
    }
    yield tarPadding(size)
  } finally {
    fs.closeSync(fd)
  }
}

async function readFully(fd: number, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const bytes = await new Promise<number>((resolve, reject) => {
      fs.read(fd, chunk, done, chunk.length - done, position + done, (error, count) => {
        if (error === null) resolve(count)
        else reject(error)
      })
    })
    if (bytes === 0) return // it has shrunk
    done += bytes
  }
}

function attributesOf(path: string, at: string): Attributes {
  const stats = fs.lstatSync(at)
  const xattrs = listXattrs(at)
    .sort()
    .flatMap((name): [string, Buffer][] => {
      const value = getXattr(at, name)
      return value === undefined ? [] : [[name, value]]
    })
  return {
    path,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    mtime: Math.floor(stats.mtimeMs / 1000),
    ...(xattrs.length === 0 ? {} : { xattrs }),
  }
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`
}

/** What a container removed or replaced meanwhile is not in the archive. */
function tryGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    const { code, errnoName } = error as { code?: string; errnoName?: string }
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'EINVAL'].includes(errnoName ?? code ?? ''))
      return undefined
    throw error
  }
}
