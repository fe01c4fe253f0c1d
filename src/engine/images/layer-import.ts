/** From a packed layer to an extracted one, on this thread or another: see unpack-packed.ts. */
import fs from 'node:fs'
import { TsstackError } from '../../errors.ts'
import type { ExpectedContent } from './content-store.ts'
import type { Digest } from './image.ts'
import type { OpenedFile, PackedFile } from './packed-file.ts'
import type { StoreParts } from './store-parts.ts'
import {
  checkLayer,
  copyPacked,
  unpackPacked,
  type UnpackedLayer,
  type UnpackRequest,
} from './unpack-packed.ts'
import { unpackOnThread } from './unpack-threads.ts'

export interface PackedLayer {
  readonly open: () => OpenedFile
  /** The digest of the uncompressed layer, as the configuration has it. */
  readonly diffId: Digest
  /** What the manifest says of the packed layer; absent where there is no manifest. */
  readonly expected?: ExpectedContent
}

/** What is smaller is unpacked before a thread would have started. */
const THREAD_FROM_BYTES = 2 << 20

function unpack(request: UnpackRequest): Promise<UnpackedLayer> {
  return request.packed.size < THREAD_FROM_BYTES ? unpackPacked(request) : unpackOnThread(request)
}

async function unpackChecked(diffId: Digest, request: UnpackRequest): Promise<UnpackedLayer> {
  return checkLayer(await unpack(request), diffId)
}

function checkBlob(expected: ExpectedContent | undefined, { digest, size }: ExpectedContent): void {
  if (expected === undefined || (digest === expected.digest && size === expected.size)) return
  const state = `its ${size} bytes have digest "${digest}"`
  throw new TsstackError('INVALID_ARGUMENT', `Cannot store blob "${expected.digest}": ${state}`)
}

/** `write` makes the file of a blob; it comes into the store if it is what is expected. */
async function storeBlob(
  { content }: StoreParts,
  expected: ExpectedContent | undefined,
  write: (file: string) => Promise<UnpackedLayer>,
): Promise<UnpackedLayer> {
  const file = content.draft()
  try {
    const written = await write(file)
    checkBlob(expected, written.packed)
    content.adopt(file, written.packed.digest)
    return written
  } finally {
    fs.rmSync(file, { force: true })
  }
}

/** Its file is the store's blob already, or becomes it. */
function unpackFrom(
  packed: PackedFile,
  parts: StoreParts,
  { diffId, expected }: PackedLayer,
): Promise<UnpackedLayer> {
  // The packed layer is checked to its last byte before the extracted one appears.
  return parts.layers.make((tree) =>
    expected !== undefined && parts.content.has(expected.digest)
      ? unpackChecked(diffId, { packed, tree, blob: { known: expected } })
      : storeBlob(parts, expected, (copy) =>
          unpackChecked(diffId, { packed, tree, blob: { copy } }),
        ),
  )
}

/**
 * Brings a layer into the store, unless it is there.
 * @throws {INVALID_ARGUMENT} damaged, hostile, or not what its digests say; the store is unchanged then
 */
export async function importLayer(parts: StoreParts, layer: PackedLayer): Promise<UnpackedLayer> {
  const { diffId, expected } = layer
  const existing = parts.layers.find(diffId)
  if (existing !== undefined && expected !== undefined && parts.content.has(expected.digest))
    return { ...existing, packed: expected }
  const { file: packed, close } = layer.open()
  try {
    if (existing === undefined) return await unpackFrom(packed, parts, layer)
    return await storeBlob(parts, expected, async (copy) => ({
      ...existing,
      packed: await copyPacked(packed, copy),
    }))
  } finally {
    close()
  }
}
