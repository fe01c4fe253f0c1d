/** Gives the layers of build steps to other hosts: see shared-cache.ts. */
import fs from 'node:fs'
import path from 'node:path'
import { parseReference } from './reference.ts'
import { TsstackError } from '../../errors.ts'
import type { CachedStep } from './build-cache.ts'
import { sourceFromChunks } from './byte-source.ts'
import { formatImageConfig, HOST_ARCHITECTURE, type Image } from './image.ts'
import { unpackLayer } from './layer-unpack.ts'
import type { LayerRecord } from './layer-store.ts'
import { formatManifest, MEDIA_TYPES } from './manifest.ts'
import type { TransferOptions } from './pull-image.ts'
import { pushImage } from './push-image.ts'
import { saveArchive } from './save-archive.ts'
import type { CachePlace } from './shared-cache.ts'
import { formatSteps, STEPS_FIELD } from './shared-steps.ts'
import type { StoreParts } from './store-parts.ts'

/** What an image may have (image.ts). */
const MAX_LAYERS = 500
const NO_CONFIG = { env: {}, exposedPorts: [], volumes: [], labels: {} }

/** An image of the layers, which nobody else sees: it has no record. */
function imageOf({ content, layers }: StoreParts, steps: readonly CachedStep[]): Image {
  const records = new Map<string, LayerRecord>()
  for (const { diffId } of steps) {
    const record = layers.find(diffId)
    if (record !== undefined && records.size < MAX_LAYERS) records.set(diffId, record)
  }
  const diffIds = [...records.keys()]
  const known = steps.filter(({ diffId }) => records.has(diffId))
  const created =
    known
      .map((step) => step.created)
      .sort()
      .at(-1) ?? '1970-01-01T00:00:00Z'
  const config = { architecture: HOST_ARCHITECTURE, os: 'linux', created, config: NO_CONFIG }
  const text = formatImageConfig(
    { ...config, layers: diffIds },
    { extra: { [STEPS_FIELD]: formatSteps(known) } },
  )
  const id = content.put(text)
  const manifest = formatManifest(
    { mediaType: MEDIA_TYPES.config, digest: id, size: Buffer.byteLength(text) },
    [...records.values()].map(({ diffId, tarBytes }) => {
      return { mediaType: MEDIA_TYPES.layer, digest: diffId, size: tarBytes }
    }),
  )
  const digest = content.put(manifest)
  return { ...config, id, digest, layers: diffIds, sizeBytes: 0, madeHere: true }
}

/** A directory that is somebody's own is left alone. @throws {FAILED_PRECONDITION} */
function prepareLayout(directory: string): void {
  fs.mkdirSync(directory, { recursive: true })
  const names = fs.readdirSync(directory)
  if (names.length === 0 || fs.existsSync(path.join(directory, 'oci-layout'))) return
  throw new TsstackError('FAILED_PRECONDITION', `"${directory}" has other files than a cache`, {
    hint: 'Name a directory of its own',
  })
}

/**
 * Writes steps and their layers to a place; what is there already is not sent again.
 * @throws {FAILED_PRECONDITION} the directory has other files; and what the registry throws
 */
export async function exportSharedCache(
  parts: StoreParts,
  steps: readonly CachedStep[],
  { place, options }: { readonly place: CachePlace; readonly options: TransferOptions },
): Promise<void> {
  const image = imageOf(parts, steps)
  const hold = parts.holds.open()
  hold.add([image.id, image.digest, ...image.layers])
  try {
    if (place.kind === 'local') {
      prepareLayout(place.directory)
      const archive = sourceFromChunks(saveArchive(parts, [{ image, names: [] }]))
      await unpackLayer(archive, place.directory, { whiteouts: false })
      return
    }
    const reference = parseReference(place.reference)
    if (reference.transport !== 'docker' || reference.digest !== undefined)
      throw new TsstackError('INVALID_ARGUMENT', `"${place.reference}" is no name with a tag`)
    await pushImage(parts, { image, reference }, options)
  } finally {
    hold.release()
  }
}
