/** An archive of some 200 MB into an engine: the layers plain, packed with gzip, packed with zstd. */
import type { ImageEngine } from '../engines/image-engine.ts'
import { PACKINGS, PACKING_TITLES, type Packing } from '../image-archive.ts'
import { largeTag, type ImageSamples } from '../image-samples.ts'
import { timesBetterThan, type Measurement, type Row } from './measurement.ts'

function rowOf(packing: Packing): Row {
  return {
    id: `load-${packing}`,
    title: `\`load\` of four layers, ${PACKING_TITLES[packing]}`,
    unit: 'MB/s',
    isRate: true,
    goal: timesBetterThan('best', 1, true),
  }
}

export function loadOf({ archives, plainBytes }: ImageSamples): Measurement<ImageEngine> {
  return {
    id: 'load',
    rounds: 5,
    rows: PACKINGS.map(rowOf),
    async measure({ sandbox, images }) {
      const values: Record<string, number> = {}
      for (const packing of PACKINGS) {
        await sandbox.run(images.clear)
        const run = await sandbox.run(images.load(archives[packing], largeTag(packing)), {
          mayFail: true,
        })
        if (run.exitCode === 0) values[`load-${packing}`] = plainBytes / 1e3 / run.wallMs
      }
      return values
    },
  }
}
