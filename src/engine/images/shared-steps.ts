/**
 * Steps of builds that other hosts may take over, as an image tells them: a field of its configuration that programs which
 * do not know it pass over.
 *
 *   "tsstack.build-cache": { "version": 1, "steps": [{ "key", "layer", "created", "description" }] }
 *
 * `layer` is one of the image's own `diff_ids`. An image that holds nothing but a cache is an image, too: any registry and
 * any program that copies images takes it.
 */
import type { CachedStep } from './build-cache.ts'
import { isDigest, type Digest } from './image.ts'

export const STEPS_FIELD = 'tsstack.build-cache'

const VERSION = 1
const MAX_STEPS = 2000
/** Here-documents are descriptions, too. */
const MAX_DESCRIPTION = 200

export function formatSteps(steps: readonly CachedStep[]): unknown {
  return {
    version: VERSION,
    steps: steps.map(({ key, diffId, created, description }) => {
      return { key, layer: diffId, created, description: description.slice(0, MAX_DESCRIPTION) }
    }),
  }
}

function stepOf(value: unknown, layers: ReadonlySet<Digest>): CachedStep[] {
  const { key, layer, created, description } = (value ?? {}) as Readonly<Record<string, unknown>>
  if (typeof key !== 'string' || !isDigest(key)) return []
  if (typeof layer !== 'string' || !layers.has(layer)) return []
  if (typeof created !== 'string' || Number.isNaN(Date.parse(created))) return []
  const text = typeof description === 'string' ? description.slice(0, MAX_DESCRIPTION) : ''
  return [{ key, diffId: layer, created, description: text }]
}

/**
 * The steps that an image configuration names; what is not one is passed over.
 * @param layers - those that the image has
 */
export function parseSteps(configuration: unknown, layers: readonly Digest[]): CachedStep[] {
  const field = (configuration as Readonly<Record<string, unknown>> | null)?.[STEPS_FIELD]
  const { version, steps } = (field ?? {}) as Readonly<Record<string, unknown>>
  if (version !== VERSION || !Array.isArray(steps) || steps.length > MAX_STEPS) return []
  const known = new Set(layers)
  return steps.flatMap((step: unknown) => stepOf(step, known))
}
