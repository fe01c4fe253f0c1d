/**
 * The files of an image archive by name, in a directory or in a tar file: index.json, manifest.json, blobs. Names come
 * from hostile documents; in a directory they are resolved beneath it.
 */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { TsstackError } from '../../errors.ts'
import { openConfined, RESOLVE } from '../../kernel/file-calls.ts'
import { readChunks, sourceFromFile } from './byte-source.ts'
import { decompress, detectCompression } from './decompress.ts'
import { openPacked, type OpenedFile } from './packed-file.ts'
import { readTar, type TarEntry } from './tar-reader.ts'

export interface ArchiveFiles {
  readonly has: (name: string) => boolean
  /** The content of a file. @throws {INVALID_ARGUMENT} if there is none */
  readonly open: (name: string) => AsyncGenerator<Buffer>
  /** The same for who reads by itself; closed before the archive is. @throws {INVALID_ARGUMENT} if there is none */
  readonly openFile: (name: string) => OpenedFile
  readonly close: () => Promise<void>
}

const MAX_DOCUMENT = 8 << 20
const MAX_FILES = 100_000
const MAX_LINKS = 8

function missing(name: string): TsstackError {
  return new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot read image archive: file "${name.slice(0, 200)}" is missing`,
  )
}

/**
 * A whole file that is small.
 * @throws {INVALID_ARGUMENT} missing, or larger than 8 MiB
 */
export async function readDocument(files: ArchiveFiles, name: string): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  for await (const chunk of files.open(name)) {
    size += chunk.length
    if (size > MAX_DOCUMENT) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot read image archive: "${name}" is larger than ${MAX_DOCUMENT} bytes`,
      )
    }
    parts.push(chunk)
  }
  return Buffer.concat(parts)
}

/** @throws {NOT_FOUND} if the directory does not exist */
export function openDirectoryFiles(directory: string): ArchiveFiles {
  let root: number
  try {
    root = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  } catch (cause) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot open image directory "${directory}": ${(cause as NodeJS.ErrnoException).code ?? 'unreadable'}`,
      { cause },
    )
  }
  const openFile = (name: string): number =>
    openConfined(root, name, {
      flags: fs.constants.O_RDONLY | fs.constants.O_NONBLOCK,
      resolve: RESOLVE.BENEATH,
    })

  function tryOpen(name: string): number | undefined {
    try {
      const fd = openFile(name)
      if (fs.fstatSync(fd).isFile()) return fd
      fs.closeSync(fd)
    } catch {
      // Missing, or a link that leads out.
    }
    return undefined
  }

  return {
    has(name) {
      const fd = tryOpen(name)
      if (fd !== undefined) fs.closeSync(fd)
      return fd !== undefined
    },
    openFile(name) {
      const fd = tryOpen(name)
      if (fd === undefined) throw missing(name)
      return openPacked(fd, fs.fstatSync(fd).size)
    },
    async *open(name) {
      const fd = tryOpen(name)
      if (fd === undefined) throw missing(name)
      const handle = await open(`/proc/self/fd/${fd}`, 'r').finally(() => {
        fs.closeSync(fd)
      })
      try {
        yield* readChunks(handle)
      } finally {
        await handle.close()
      }
    },
    close() {
      fs.closeSync(root)
      return Promise.resolve()
    },
  }
}

type Place = { readonly offset: number; readonly size: number } | { readonly link: string }

function placeOf(entry: TarEntry, name: string): Place | undefined {
  if (entry.type === 'file') return { offset: entry.offset, size: entry.size }
  // `docker save` writes a layer that occurs twice as a symlink to the first.
  if (entry.type === 'symlink')
    return { link: path.posix.join(path.posix.dirname(name), entry.link) }
  return entry.type === 'hardlink' ? { link: path.posix.normalize(entry.link) } : undefined
}

async function indexTar(handle: FileHandle): Promise<Map<string, Place>> {
  const { size } = await handle.stat()
  const places = new Map<string, Place>()
  const limits = { maxEntries: MAX_FILES, maxBytes: Number.MAX_SAFE_INTEGER }
  for await (const entry of readTar(sourceFromFile(handle, size), limits)) {
    const name = path.posix.normalize(entry.path)
    const place = placeOf(entry, name)
    if (place !== undefined) places.set(name, place)
  }
  return places
}

/** Beyond 256 MiB, an archive that grows more than this many times is made to fill the disk: images shrink to a half or a tenth. */
const MAX_GROWTH = 200
const GROWTH_COUNTS_FROM = 256 << 20

/** @throws {INVALID_ARGUMENT} damaged, or a decompression bomb */
async function writePlain(packed: FileHandle, plain: FileHandle): Promise<void> {
  const { size } = await packed.stat()
  const limit = Math.max(GROWTH_COUNTS_FROM, size * MAX_GROWTH)
  let written = 0
  for await (const chunk of decompress(readChunks(packed))) {
    written += chunk.length
    if (written > limit) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot read image archive: its ${size} bytes become more than ${limit}`,
        { hint: 'Unpack it first if it is meant to be so' },
      )
    }
    await plain.writeFile(chunk)
  }
}

/** @throws {NOT_FOUND} {INVALID_ARGUMENT} it is no regular file */
async function openArchive(file: string): Promise<FileHandle> {
  let handle: FileHandle
  try {
    handle = await open(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  } catch (cause) {
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot open image archive "${file}": ${(cause as NodeJS.ErrnoException).code ?? 'unreadable'}`,
      { cause },
    )
  }
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot open image archive "${file}": not a regular file`,
  )
}

/** A compressed archive is unpacked beside the store first: blobs must be found by their place. */
async function toPlain(handle: FileHandle, tmpDir: string): Promise<FileHandle> {
  const head = Buffer.alloc(4)
  await handle.read(head, 0, 4, 0)
  if (detectCompression(head) === 'none') return handle
  try {
    const draft = path.join(tmpDir, randomUUID())
    const plain = await open(draft, 'wx+', 0o600)
    try {
      fs.rmSync(draft) // goes with its descriptor
      await writePlain(handle, plain)
      return plain
    } catch (error) {
      await plain.close()
      throw error
    }
  } finally {
    await handle.close()
  }
}

/**
 * @param archive - its name; or open for reading, then it is closed with the files
 * @param tmpDir - room for the unpacked form of a compressed archive
 * @throws {NOT_FOUND} if the file does not exist
 * @throws {INVALID_ARGUMENT} if it is not a tar file
 */
export async function openTarFiles(
  archive: string | FileHandle,
  tmpDir: string,
): Promise<ArchiveFiles> {
  const opened = typeof archive === 'string' ? await openArchive(archive) : archive
  const handle = await toPlain(opened, tmpDir)
  let places: Map<string, Place>
  try {
    places = await indexTar(handle)
  } catch (error) {
    await handle.close()
    throw error
  }

  function find(name: string): { readonly offset: number; readonly size: number } | undefined {
    let current = path.posix.normalize(name)
    for (let links = 0; links < MAX_LINKS; links++) {
      const place = places.get(current)
      if (place === undefined || 'offset' in place) return place
      current = place.link
    }
    return undefined
  }

  return {
    has: (name) => find(name) !== undefined,
    async *open(name) {
      const place = find(name)
      if (place === undefined) throw missing(name)
      yield* readChunks(handle, place.offset, place.size)
    },
    openFile(name) {
      const place = find(name)
      if (place === undefined) throw missing(name)
      const file = { fd: handle.fd, start: place.offset, size: place.size }
      return { file, close: () => undefined }
    },
    close: () => handle.close(),
  }
}
