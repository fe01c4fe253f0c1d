/**
 * Makes a layer out of files of this host: the tree on disk and, in the same pass, the digest of the tar file that it
 * stands for. Files are copied (cloned where the file system can), never hard-linked to the host's.
 */
import { createHash, type Hash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { AT_FDCWD } from '../../kernel/constants.ts'
import { makeNode, setXattr } from '../../kernel/file-calls.ts'
import { setOpaque } from './confined-tree.ts'
import type { Digest } from './image.ts'
import type { LayerEntry } from './layer-entry.ts'
import { createPacer } from './pacer.ts'
import { TAR_END, tarHeader, tarPadding } from './tar-writer.ts'

export interface BuiltLayer {
  readonly diffId: Digest
  /** Bytes of the tar file. */
  readonly tarBytes: number
  /** Bytes of the regular files in it. */
  readonly fileBytes: number
}

/** Up to this size a file is read and written at once; above, it is copied by the kernel and then read for its digest. */
const SMALL_FILE_BYTES = 256 << 10
const CHUNK_BYTES = 1 << 20
const { S_IFCHR, S_IFIFO } = fs.constants

type EntryOf<T extends LayerEntry['type']> = Extract<LayerEntry, { type: T }>

function changed(source: string): TsstackError {
  return new TsstackError('UNAVAILABLE', `Cannot copy "${source}": it changed while it was read`)
}

function writeContent(target: string, content: Uint8Array): void {
  fs.writeFileSync(target, content, { flag: 'wx' })
}

async function hashFile(file: string, size: number, hash: Hash): Promise<void> {
  const handle = await fs.promises.open(file, 'r')
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    let total = 0
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, chunk.length)
      if (bytesRead === 0) break
      hash.update(chunk.subarray(0, bytesRead))
      total += bytesRead
    }
    if (total !== size) throw changed(file)
  } finally {
    await handle.close()
  }
}

async function copyFile(entry: EntryOf<'file'>, target: string, hash: Hash): Promise<void> {
  if (entry.size <= SMALL_FILE_BYTES) {
    const content = fs.readFileSync(entry.source)
    if (content.length !== entry.size) throw changed(entry.source)
    hash.update(content)
    writeContent(target, content)
    return
  }
  const { COPYFILE_EXCL, COPYFILE_FICLONE } = fs.constants
  await fs.promises.copyFile(entry.source, target, COPYFILE_EXCL | COPYFILE_FICLONE)
  await hashFile(target, entry.size, hash)
}

/** Owner, then mode (chown clears setuid), then attributes (chown clears capabilities). */
function applyAttributes(entry: LayerEntry, target: string): void {
  if (entry.uid !== 0 || entry.gid !== 0) fs.lchownSync(target, entry.uid, entry.gid)
  if (entry.type !== 'symlink') fs.chmodSync(target, entry.mode)
  for (const [name, value] of entry.xattrs ?? []) setXattr(target, name, value)
  if (entry.type !== 'directory') fs.lutimesSync(target, entry.mtime, entry.mtime)
}

async function makeEntry(entry: LayerEntry, tree: string, hash: Hash): Promise<void> {
  const target = path.join(tree, entry.path)
  hash.update(tarHeader(entry))
  switch (entry.type) {
    case 'directory':
      if (entry.path !== '') fs.mkdirSync(target)
      break
    case 'symlink':
      fs.symlinkSync(entry.target, target)
      break
    case 'hardlink':
      fs.linkSync(path.join(tree, entry.target), target)
      return
    case 'content':
      writeContent(target, entry.content)
      hash.update(entry.content)
      hash.update(tarPadding(entry.content.length))
      break
    case 'fifo':
      makeNode(AT_FDCWD, target, { mode: S_IFIFO | 0o600, major: 0, minor: 0 })
      break
    case 'whiteout':
      makeNode(AT_FDCWD, target, { mode: S_IFCHR, major: 0, minor: 0 })
      return
    case 'opaque':
      setOpaque(target)
      return
    case 'file':
      await copyFile(entry, target, hash)
      hash.update(tarPadding(entry.size))
      break
  }
  applyAttributes(entry, target)
}

/**
 * Writes entries into an empty directory.
 * @param entries - in the order of `compareEntries`, every parent directory among them
 * @throws {UNAVAILABLE} when a file changed meanwhile
 */
export async function buildLayer(
  entries: readonly LayerEntry[],
  tree: string,
): Promise<BuiltLayer> {
  const hash = createHash('sha256')
  const pacer = createPacer()
  let tarBytes = TAR_END.length
  let fileBytes = 0
  for (const entry of entries) {
    await makeEntry(entry, tree, hash)
    const size =
      entry.type === 'file' ? entry.size : entry.type === 'content' ? entry.content.length : 0
    fileBytes += size
    tarBytes += tarHeader(entry).length + size + tarPadding(size).length
    await pacer.breathe()
  }
  // Last, since making what is in a directory changes its time.
  for (const entry of entries.toReversed()) {
    if (entry.type !== 'directory') continue
    fs.utimesSync(path.join(tree, entry.path), entry.mtime, entry.mtime)
  }
  hash.update(TAR_END)
  return { diffId: `sha256:${hash.digest('hex')}`, tarBytes, fileBytes }
}
