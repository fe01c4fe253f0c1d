/** An image of one layer, out of a tar file with a root file system in it. */
import { open, rm, type FileHandle } from 'node:fs/promises'
import { readChunks } from './byte-source.ts'
import { decompress } from './decompress.ts'
import { HOST_ARCHITECTURE, type Image, type ImageConfig } from './image.ts'
import type { LayerRecord } from './layer-store.ts'
import { addBuiltImage, type StoreParts } from './store-parts.ts'
import { unpackDigested } from './unpack-packed.ts'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const PLAIN: ImageConfig = { env: { PATH }, exposedPorts: [], volumes: [], labels: {} }

/** The blob is the plain file, however it came: the same content gives the same image. */
async function importPlain(parts: StoreParts, file: FileHandle): Promise<LayerRecord> {
  const draft = parts.content.draft()
  const blob = await open(draft, 'wx', 0o600)
  async function* copied(): AsyncGenerator<Buffer> {
    for await (const chunk of decompress(readChunks(file))) {
      await blob.writeFile(chunk)
      yield chunk
    }
  }
  try {
    return await parts.layers.make(async (tree) => {
      const record = await unpackDigested(copied(), tree)
      parts.content.adopt(draft, record.diffId)
      return record
    })
  } finally {
    await blob.close()
    await rm(draft, { force: true })
  }
}

/**
 * @param file - the tar file, plain or packed
 * @param imageConfig - what containers of the image run with. Default: only a PATH
 * @throws {INVALID_ARGUMENT} damaged or hostile
 */
export async function importTree(
  parts: StoreParts,
  file: FileHandle,
  imageConfig = PLAIN,
): Promise<Image> {
  const record = await importPlain(parts, file)
  const config = {
    architecture: HOST_ARCHITECTURE,
    os: 'linux',
    created: '1970-01-01T00:00:00Z', // the same file gives the same image
    config: imageConfig,
  }
  return addBuiltImage(parts, config, [record])
}
