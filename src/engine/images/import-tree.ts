/** An image of one layer, out of a tar file with a root file system in it. */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { readChunks } from './byte-source.ts'
import { decompress } from './decompress.ts'
import { HOST_ARCHITECTURE, type Image, type ImageConfig } from './image.ts'
import { importLayer } from './layer-import.ts'
import { addBuiltImage, type StoreParts } from './store-parts.ts'

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const PLAIN: ImageConfig = { env: { PATH }, exposedPorts: [], volumes: [], labels: {} }

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
  const hash = createHash('sha256')
  for await (const chunk of decompress(readChunks(file))) hash.update(chunk)
  const diffId = `sha256:${hash.digest('hex')}`
  const { record } = await importLayer(parts, {
    open: () => decompress(readChunks(file)),
    diffId,
  })
  const config = {
    architecture: HOST_ARCHITECTURE,
    os: 'linux',
    created: '1970-01-01T00:00:00Z', // the same file gives the same image
    config: imageConfig,
  }
  return addBuiltImage(parts, config, [record])
}
