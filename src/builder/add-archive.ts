/** Archives that ADD unpacks: tar files, plain or packed with gzip, zstd, xz or bzip2. They are as hostile as any. */
import fs from 'node:fs'
import { open } from 'node:fs/promises'
import { readChunks, sourceFromChunks } from '../engine/images/byte-source.ts'
import { ConfinedTree } from '../engine/images/confined-tree.ts'
import { decompress } from '../engine/images/decompress.ts'
import { unpackLayer } from '../engine/images/layer-unpack.ts'
import { O_PATH, openConfined, RESOLVE } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import type { Target } from './copy-files.ts'
import type { Source, SourceTree } from './source-tree.ts'
import { packingOf, unpackWith } from './unpack-program.ts'

const BLOCK = 512
const MAGIC_AT = 257
const { O_NONBLOCK, O_RDONLY } = fs.constants
const FOLLOWED = { flags: O_RDONLY | O_NONBLOCK, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS }

/** Ends the stream, too. */
async function firstBlock(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  let head: Buffer = Buffer.alloc(0)
  for await (const chunk of chunks) {
    head = Buffer.concat([head, chunk.subarray(0, BLOCK)])
    if (head.length >= BLOCK) break
  }
  return head.subarray(0, BLOCK)
}

async function* chunksOf(tree: SourceTree, source: Source): AsyncGenerator<Buffer> {
  const fd = openConfined(tree.rootFd, source.path, FOLLOWED)
  try {
    if (!fs.fstatSync(fd).isFile()) return
    const handle = await open(`/proc/self/fd/${fd}`, 'r')
    try {
      yield* readChunks(handle)
    } finally {
      await handle.close()
    }
  } finally {
    fs.closeSync(fd)
  }
}

/** Told by its first bytes, not by its name. */
async function* unpacked(tree: SourceTree, source: Source): AsyncGenerator<Buffer> {
  const packing = packingOf(await firstBlock(chunksOf(tree, source)))
  const packed = chunksOf(tree, source)
  yield* packing === undefined ? decompress(packed) : unpackWith(packing, packed)
}

/** @throws {FAILED_PRECONDITION} there is no program that could tell */
export async function isArchive(tree: SourceTree, source: Source): Promise<boolean> {
  try {
    const block = await firstBlock(unpacked(tree, source))
    return block.toString('latin1', MAGIC_AT, MAGIC_AT + 5) === 'ustar'
  } catch (error) {
    if (error instanceof TsstackError && error.code === 'FAILED_PRECONDITION') throw error
    return false // it begins like one
  }
}

/** @throws {INVALID_ARGUMENT} damaged or hostile */
export async function unpackArchive(
  tree: SourceTree,
  source: Source,
  { root, target }: { readonly root: string; readonly target: Target },
): Promise<void> {
  const confined = new ConfinedTree(root)
  try {
    const place = confined.place([...target, '.'])
    const fd = openConfined(place.parent, '.', { flags: O_PATH, resolve: RESOLVE.BENEATH })
    try {
      const directory = `/proc/self/fd/${fd}/.`
      const { mtimeMs } = fs.statSync(directory)
      const chunks = unpacked(tree, source)
      try {
        await unpackLayer(sourceFromChunks(chunks), directory, { whiteouts: false })
      } finally {
        await chunks.return(undefined) // what follows the archive is not read
      }
      fs.utimesSync(directory, mtimeMs / 1000, mtimeMs / 1000)
    } finally {
      fs.closeSync(fd)
    }
  } finally {
    confined.close()
  }
}
