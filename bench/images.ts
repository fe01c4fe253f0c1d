/**
 * Measures what tsstack does with images beside Docker, Podman and skopeo, in the same run: load, pull, build, start; and
 * how it unpacks layers beside tar.
 *
 *   npm run bench:images -- [--trees DIRECTORY] [--only load,pull] [--rounds 1]
 *
 * Prints a Markdown table; with --write its rows go into docs/benchmarks.md. Needs root, cc, busybox-static, zstd,
 * docker-registry and 4 GiB of memory.
 */
import { execa } from 'execa'
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { compileProbes } from './compile-probes.ts'
import { openDocker } from './engines/docker.ts'
import type { EngineSetup } from './engines/engine.ts'
import type { ImageEngine } from './engines/image-engine.ts'
import { openPodman } from './engines/podman.ts'
import { openSkopeo } from './engines/skopeo.ts'
import { openTsstack } from './engines/tsstack.ts'
import { buildImage, type BenchImage } from './image.ts'
import { largeTag, makeSamples, type ImageSamples } from './image-samples.ts'
import { buildOf } from './measurements/build.ts'
import { deepRunOf } from './measurements/deep-run.ts'
import { loadOf } from './measurements/load.ts'
import type { Measurement } from './measurements/measurement.ts'
import { pullOf } from './measurements/pull.ts'
import { UNPACKERS, unpackOf } from './measurements/unpack.ts'
import { prepareRegistry, REGISTRY_TAG } from './registry.ts'
import { table, type Column } from './report.ts'
import { machine, measure, ResultTable, roundsOf, RUN_OPTIONS, say, writeTable } from './rounds.ts'

const { values: flags } = parseArgs({ options: RUN_OPTIONS })

async function openEngines(setup: (id: string) => EngineSetup): Promise<ImageEngine[]> {
  const tree = (release: string): { tree?: string } =>
    flags.trees === undefined ? {} : { tree: path.join(flags.trees, release) }
  const docker = (id: string, release: string): ReturnType<typeof openDocker> =>
    openDocker({ id, ...tree(release), ...setup(id) })
  const opened = await Promise.all([
    openTsstack(setup('tsstack')),
    docker('docker', 'trixie'),
    ...(flags.trees === undefined ? [] : [docker('docker-bookworm', 'bookworm')]),
    openPodman({ id: 'podman', ...tree('trixie'), ...setup('podman') }),
    openSkopeo({ ...tree('trixie'), ...setup('skopeo') }),
  ])
  return opened.filter((engine) => engine !== undefined)
}

/** The large image, packed with gzip, into the registry's directory; and a registry on it in each sandbox. */
async function fillRegistry(
  top: string,
  engines: readonly ImageEngine[],
  { archives }: ImageSamples,
): Promise<boolean> {
  const registry = await prepareRegistry(top)
  if (registry === undefined) return false
  for (const { sandbox } of engines) await registry.start(sandbox)
  const ours = engines.find(({ id }) => id === 'tsstack')
  const [program = ''] = ours?.images.clear ?? []
  await ours?.sandbox.run(ours.images.load(archives.gzip, largeTag('gzip')))
  await ours?.sandbox.run([program, 'image', 'tag', largeTag('gzip'), REGISTRY_TAG])
  await ours?.sandbox.run([program, 'image', 'push', '--quiet', REGISTRY_TAG])
  return true
}

async function measureAll(
  top: string,
  image: BenchImage,
  engines: readonly ImageEngine[],
): Promise<string> {
  const samples = await makeSamples(top, path.join(top, 'layer.tar'))
  const hasRegistry = await fillRegistry(top, engines, samples)
  if (!hasRegistry) say('  no docker-registry here: pull is left out')
  const all: Measurement<ImageEngine>[] = [
    loadOf(samples),
    ...(hasRegistry ? [pullOf(samples)] : []),
    buildOf(top, image.archive),
    deepRunOf(samples),
  ]
  const wanted = flags.only?.split(',')
  const isWanted = ({ id }: { readonly id: string }): boolean => wanted?.includes(id) ?? true
  const measurements = all.filter(isWanted)
  const unpack = unpackOf(samples, path.join(top, 'unpack'))
  const results = new ResultTable()
  const rounds = roundsOf(flags.rounds)
  if (isWanted(unpack)) await measure(unpack, UNPACKERS, { results, ...rounds })
  for (const measurement of measurements)
    await measure(measurement, engines, { results, ...rounds })
  const columns: Column[] = [...engines, { id: 'floor', title: 'floor (tar)' }]
  return table(
    [...(isWanted(unpack) ? unpack.rows : []), ...measurements.flatMap(({ rows }) => rows)],
    columns,
    results.rows,
  )
}

/** @param top - a file system of its own */
async function measureIn(top: string): Promise<string> {
  const probes = await compileProbes(top)
  const image = await buildImage(top, probes)
  const setup = (id: string): EngineSetup => {
    const work = path.join(top, id)
    mkdirSync(work, { recursive: true })
    return { probes, image, top, work }
  }
  const engines = await openEngines(setup)
  try {
    return await measureAll(top, image, engines)
  } finally {
    for (const engine of engines) await engine.close()
  }
}

async function main(): Promise<void> {
  const top = mkdtempSync(path.join(os.tmpdir(), 'tsstack-bench-'))
  // In memory: ext4 takes seconds to find inodes that were not deleted lately, and each round deletes thousands.
  await execa('mount', ['-t', 'tmpfs', 'bench', top])
  try {
    const measured = await measureIn(top)
    process.stdout.write(`${machine()}\n\n${measured}\n`)
    if (flags.write) writeTable('images', measured)
  } finally {
    await execa('umount', ['--lazy', top])
    rmdirSync(top)
  }
}

await main()
