/** A container of an image with 120 layers. */
import type { ImageEngine } from '../engines/image-engine.ts'
import { DEEP_TAG, type ImageSamples } from '../image-samples.ts'
import { timesBetterThan, type Measurement } from './measurement.ts'

export function deepRunOf({ deep }: ImageSamples): Measurement<ImageEngine> {
  return {
    id: 'deep-run',
    rounds: 5,
    rows: [
      {
        id: 'deep-run',
        title: '`run --rm … true`, image of 120 layers',
        unit: 'ms',
        goal: timesBetterThan('best', 1),
      },
    ],
    async measure({ sandbox, images }) {
      if (images.run === undefined) return undefined
      await sandbox.run(images.load(deep, DEEP_TAG))
      await sandbox.run(images.run(DEEP_TAG))
      return { 'deep-run': (await sandbox.run(images.run(DEEP_TAG))).wallMs }
    },
  }
}
