/** The large image from a registry on loopback. */
import type { ImageEngine } from '../engines/image-engine.ts'
import type { ImageSamples } from '../image-samples.ts'
import { REGISTRY_TAG } from '../registry.ts'
import { timesBetterThan, type Measurement } from './measurement.ts'

/** The registry must run in each engine's sandbox. */
export function pullOf({ plainBytes }: ImageSamples): Measurement<ImageEngine> {
  return {
    id: 'pull',
    rounds: 5,
    rows: [
      {
        id: 'pull',
        title: '`pull` of four layers, gzip, from a registry on loopback',
        unit: 'MB/s',
        isRate: true,
        goal: timesBetterThan('best', 1, true),
      },
    ],
    async measure({ sandbox, images }) {
      await sandbox.run(images.clear)
      const { wallMs } = await sandbox.run(images.pull(REGISTRY_TAG))
      return { pull: plainBytes / 1e3 / wallMs }
    },
  }
}
