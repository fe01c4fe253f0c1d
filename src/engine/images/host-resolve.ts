/** From a `host:` reference to an image in the store. */
import { TsstackError } from '../../errors.ts'
import type { HostAssembler, PlannedLayer } from './host-image.ts'
import type { Image } from './image.ts'
import { buildLayer } from './layer-builder.ts'
import type { LayerRecord } from './layer-store.ts'
import { formatReference, type ImageReference } from './reference.ts'
import { addBuiltImage, type StoreParts } from './store-parts.ts'

/** A package manager that is at work changes files under our hands: look again. */
const ATTEMPTS = 3

async function obtainLayer(
  { layers, records }: StoreParts,
  planned: PlannedLayer,
): Promise<LayerRecord> {
  const known = records.findHostLayer(planned.key)
  const existing = known === undefined ? undefined : layers.find(known)
  if (existing !== undefined) return existing
  const made = await layers.make((tree) => buildLayer(planned.entries, tree))
  records.setHostLayer(planned.key, made.diffId)
  return made
}

async function assemble(
  parts: StoreParts,
  assembler: HostAssembler,
  reference: Extract<ImageReference, { transport: 'host' }>,
): Promise<Image> {
  const plan = await assembler.plan(reference.items)
  const made = new Map<string, LayerRecord>()
  for (const planned of plan.layers) {
    const layer = await obtainLayer(parts, planned)
    made.set(layer.diffId, layer)
  }
  const image = addBuiltImage(parts, plan.config, [...made.values()])
  const canonical = formatReference(reference)
  await parts.records.setReference(canonical, image.id)
  parts.records.setSource({ reference: canonical, imageId: image.id, inputs: [...plan.inputs] })
  return image
}

/**
 * Assembles what has changed and finds the rest.
 * @throws {NOT_FOUND} if an item is not on this host
 * @throws {UNAVAILABLE} if files keep changing
 */
export async function resolveHostImage(
  parts: StoreParts,
  assembler: HostAssembler,
  reference: Extract<ImageReference, { transport: 'host' }>,
): Promise<Image> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await assemble(parts, assembler, reference)
    } catch (error) {
      const isRetry = error instanceof TsstackError && error.code === 'UNAVAILABLE'
      if (!isRetry || attempt === ATTEMPTS) throw error
    }
  }
}
