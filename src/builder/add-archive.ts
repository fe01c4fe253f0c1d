/** Archives that ADD unpacks: tar files of the context, plain, gzip or zstd. They are as hostile as any. */
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

const BLOCK = 512
const MAGIC_AT = 257
const { O_NONBLOCK, O_RDONLY } = fs.constants
const FOLLOWED = { flags: O_RDONLY | O_NONBLOCK, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS }

/** Packed in a way that is told by its first bytes, but not read here. */
const UNREADABLE: readonly (readonly [name: string, magic: string])[] = [
  ['xz', 'fd377a585a00'],
  ['bzip2', '425a68'],
]

async function firstBlock(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  return Buffer.from(await sourceFromChunks(chunks).read(BLOCK))
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

/** @throws {UNIMPLEMENTED} an archive of a kind that is not read */
export async function isArchive(tree: SourceTree, source: Source): Promise<boolean> {
  const head = await firstBlock(chunksOf(tree, source))
  const [kind] = UNREADABLE.find(([, magic]) => head.toString('hex').startsWith(magic)) ?? []
  if (kind !== undefined && /\.(tar|t[xb]z)/.test(source.path))
    throw new TsstackError(
      'UNIMPLEMENTED',
      `"${source.path}" is packed with ${kind}, which is not read`,
      {
        hint: 'Pack it with gzip or zstd, or COPY it and unpack it with RUN',
      },
    )
  try {
    const block = await firstBlock(decompress(chunksOf(tree, source)))
    return block.toString('latin1', MAGIC_AT, MAGIC_AT + 5) === 'ustar'
  } catch {
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
      const archive = sourceFromChunks(decompress(chunksOf(tree, source)))
      await unpackLayer(archive, directory, { whiteouts: false })
      fs.utimesSync(directory, mtimeMs / 1000, mtimeMs / 1000)
    } finally {
      fs.closeSync(fd)
    }
  } finally {
    confined.close()
  }
}
