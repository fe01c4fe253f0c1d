/** An archive of some 200 MB into an engine: the layers plain, packed with gzip, packed with zstd; beside tar. */
import { execa } from 'execa'
import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { ImageEngine } from '../engines/image-engine.ts'
import { PACKINGS, type Packing } from '../image-archive.ts'
import { largeTag, type ImageSamples } from '../image-samples.ts'
import { timesBetterThan, type Measurement, type Row } from './measurement.ts'

const SHARE_OF_TAR = 0.7
const TITLES = { none: 'plain', gzip: 'gzip', zstd: 'zstd' }

function rowOf(packing: Packing): Row {
  return {
    id: `load-${packing}`,
    title: `\`load\` of four layers, ${TITLES[packing]}`,
    unit: 'MB/s',
    isRate: true,
    goal: {
      text: 'ahead of each peer, and at least 70 % of `tar`',
      isReached: (ours, peers) =>
        timesBetterThan('best', 1, true).isReached(ours, peers) &&
        ours >= SHARE_OF_TAR * (peers['floor'] ?? 0),
    },
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

const UNPACK: Readonly<Record<Packing, string>> = {
  none: 'tar -xf "$0" -C "$1"',
  gzip: 'tar -xzf "$0" -C "$1"',
  zstd: 'zstd --quiet --decompress --stdout "$0" | tar -x -C "$1"',
}

/** What tar takes for the same layers, one after another. @param work - on the file system that the engines have */
export async function measureTar(
  { layers, plainBytes }: ImageSamples,
  work: string,
): Promise<Record<string, number>> {
  const values: Record<string, number> = {}
  for (const packing of PACKINGS) {
    const startedAt = performance.now()
    for (const [index, { file }] of layers[packing].entries()) {
      const target = path.join(work, String(index))
      mkdirSync(target, { recursive: true })
      await execa('sh', ['-c', UNPACK[packing], file, target])
    }
    values[`load-${packing}`] = plainBytes / 1e3 / (performance.now() - startedAt)
    rmSync(work, { recursive: true })
  }
  return values
}
