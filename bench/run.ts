/**
 * Measures tsstack, and beside it in the same run whatever peers there are: Docker and Podman of this machine, or out of
 * trees that bench/prepare.ts made, and the kernel's floor.
 *
 *   npm run bench -- [--trees DIRECTORY] [--only boot,exec] [--rounds 1]
 *
 * Prints a Markdown table; with --write its rows go into that of docs/benchmarks.md. Needs root, cc, busybox-static and iperf3.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { compileProbes } from './compile-probes.ts'
import { openDocker } from './engines/docker.ts'
import type { Engine, EngineSetup } from './engines/engine.ts'
import { openPodman } from './engines/podman.ts'
import { openTsstack } from './engines/tsstack.ts'
import { measureFloor } from './floor.ts'
import { buildImage } from './image.ts'
import { boot } from './measurements/boot.ts'
import { config } from './measurements/config.ts'
import { exec } from './measurements/exec.ts'
import { health } from './measurements/health.ts'
import { logs } from './measurements/logs.ts'
import type { Measurement } from './measurements/measurement.ts'
import { memory } from './measurements/memory.ts'
import { network } from './measurements/network.ts'
import { repair } from './measurements/repair.ts'
import { update } from './measurements/update.ts'
import { upDown } from './measurements/up-down.ts'
import { machine, measure, ResultTable, roundsOf, RUN_OPTIONS, writeTable } from './rounds.ts'
import { table, type Column } from './report.ts'

const MEASUREMENTS: readonly Measurement[] = [
  boot,
  ...upDown,
  exec,
  health,
  memory,
  logs,
  network,
  update,
  repair,
  config,
]

const { values: flags } = parseArgs({ options: RUN_OPTIONS })

async function openEngines(setup: (id: string) => EngineSetup): Promise<Engine[]> {
  const peers =
    flags.trees === undefined
      ? [
          openDocker({ id: 'docker', ...setup('docker') }),
          openPodman({ id: 'podman', ...setup('podman') }),
        ]
      : [
          ...(['trixie', 'bookworm'] as const).map((release) => {
            const id = `docker-${release}`
            return openDocker({ id, tree: path.join(flags.trees ?? '', release), ...setup(id) })
          }),
          openPodman({ id: 'podman', tree: path.join(flags.trees, 'trixie'), ...setup('podman') }),
        ]
  const opened = await Promise.all([openTsstack(setup('tsstack')), ...peers])
  return opened.filter((engine) => engine !== undefined)
}

async function main(): Promise<void> {
  const top = mkdtempSync(path.join(os.tmpdir(), 'tsstack-bench-'))
  const probes = await compileProbes(top)
  const image = await buildImage(top, probes)
  const setup = (id: string): EngineSetup => {
    const work = path.join(top, id)
    mkdirSync(work, { recursive: true })
    return { probes, image, top, work }
  }
  const engines = await openEngines(setup)
  const results = new ResultTable()
  const wanted = flags.only?.split(',')
  const measurements = MEASUREMENTS.filter(
    ({ id }) => wanted?.some((name) => id.startsWith(name)) ?? true,
  )
  try {
    for (const measurement of measurements) {
      await measure(measurement, engines, { results, ...roundsOf(flags.rounds) })
      if (measurement !== boot) continue
      for (let round = 0; round < Number(flags.rounds ?? boot.rounds); round++)
        results.record('boot', 'floor', await measureFloor(setup('floor-work')))
    }
  } finally {
    for (const engine of engines) await engine.close()
    rmSync(top, { recursive: true, force: true })
  }
  const columns: Column[] = [...engines, { id: 'floor', title: 'floor (C)' }]
  const rows = measurements.flatMap(({ rows: own }) => own)
  const measured = table(rows, columns, results.rows)
  process.stdout.write(`${machine()}\n\n${measured}\n`)
  if (flags.write) writeTable('measured', measured)
}

await main()
