/**
 * Only the unpacking of layers that are there: by the threads that a pull has, digests and all; and by tar, which knows no
 * digests, one layer after another. Processor time tells them apart on a busy machine, and where several threads help.
 */
import { execa } from 'execa'
import { closeSync, fstatSync, mkdirSync, openSync, rmSync } from 'node:fs'
import path from 'node:path'
import { inParallel } from '../../src/engine/images/in-parallel.ts'
import { checkLayer } from '../../src/engine/images/unpack-packed.ts'
import { unpackOnThread } from '../../src/engine/images/unpack-threads.ts'
import { PACKINGS, PACKING_TITLES, type LayerFile, type Packing } from '../image-archive.ts'
import type { ImageSamples } from '../image-samples.ts'
import type { Measurement, Row } from './measurement.ts'

interface PlacedLayer extends LayerFile {
  /** An empty directory. */
  readonly tree: string
}

interface Unpacker {
  readonly id: string
  readonly title: string
  /** @returns milliseconds of processor time */
  readonly unpack: (layers: readonly PlacedLayer[], packing: Packing) => Promise<number>
}

const SHARE_OF_TAR = 0.7
const LAYERS_AT_ONCE = 3

async function unpackOne({ file, diffId, tree }: PlacedLayer): Promise<void> {
  const fd = openSync(file, 'r')
  try {
    const { size } = fstatSync(fd)
    const known = { digest: diffId, size }
    const packed = { fd, start: 0, size }
    checkLayer(await unpackOnThread({ packed, tree, blob: { known } }), diffId)
  } finally {
    closeSync(fd)
  }
}

const TAR: Readonly<Record<Packing, string>> = {
  none: 'tar -xf "$0" -C "$1"',
  gzip: 'tar -xzf "$0" -C "$1"',
  zstd: 'zstd --quiet --decompress --stdout "$0" | tar -x -C "$1"',
}

/** What sh's `times` says of the children it has had: its second line, as `0m1.230000s 0m0.500000s`. */
function childrenMs(times: string): number {
  const children = times.trim().split('\n').at(-1) ?? ''
  return [...children.matchAll(/([\d.]+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
    0,
  )
}

async function unpackWithThreads(layers: readonly PlacedLayer[]): Promise<number> {
  const before = process.cpuUsage()
  await inParallel(layers, LAYERS_AT_ONCE, unpackOne)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

async function unpackWithTar(layers: readonly PlacedLayer[], packing: Packing): Promise<number> {
  let cpuMs = 0
  for (const { file, tree } of layers) {
    const { stdout } = await execa('sh', ['-c', `${TAR[packing]}; times`, file, tree])
    cpuMs += childrenMs(stdout)
  }
  return cpuMs
}

export const UNPACKERS: readonly Unpacker[] = [
  { id: 'tsstack', title: 'tsstack', unpack: unpackWithThreads },
  { id: 'floor', title: 'tar', unpack: unpackWithTar },
]

function rowsOf(packing: Packing): Row[] {
  const title = `unpacking of four layers, ${PACKING_TITLES[packing]}`
  return [
    {
      id: `unpack-${packing}`,
      title,
      unit: 'MB/s',
      isRate: true,
      goal: {
        text: 'at least 70 % of `tar`',
        isReached: (ours, { floor = 0 }) => ours >= SHARE_OF_TAR * floor,
      },
    },
    { id: `unpack-${packing}-cpu`, title: `${title}: processor time`, unit: 'ms' },
  ]
}

/** @param work - a directory to make, on the file system that the engines have */
export function unpackOf(
  { layers, plainBytes }: ImageSamples,
  work: string,
): Measurement<Unpacker> {
  return {
    id: 'unpack',
    rounds: 5,
    rows: PACKINGS.flatMap(rowsOf),
    async measure({ unpack }) {
      const values: Record<string, number> = {}
      // The first is done twice: here threads start from TypeScript sources, a daemon's don't.
      for (const packing of [PACKINGS[0], ...PACKINGS]) {
        const placed = layers[packing].map((layer, index) => {
          const tree = path.join(work, String(index))
          mkdirSync(tree, { recursive: true })
          return { ...layer, tree }
        })
        const startedAt = performance.now()
        const cpuMs = await unpack(placed, packing)
        values[`unpack-${packing}`] = plainBytes / 1e3 / (performance.now() - startedAt)
        values[`unpack-${packing}-cpu`] = cpuMs
        rmSync(work, { recursive: true })
      }
      return values
    },
  }
}
