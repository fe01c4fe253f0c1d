/**
 * How tsstack grows with the number of containers: one stack of 10, then 50 … 500 services, each with a health check that
 * runs a program every few seconds.
 *
 *   npm run bench:scale [-- --counts 10,50] [--write]
 *
 * Prints a table with bars; with --write it goes into docs/benchmarks.md. Needs root, cc and busybox-static.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createClient, type Client } from '../src/client/client.ts'
import { compileProbes } from './compile-probes.ts'
import { openTsstack } from './engines/tsstack.ts'
import type { Engine } from './engines/engine.ts'
import { eventually } from './eventually.ts'
import { buildImage } from './image.ts'
import { engineMemory } from './measurements/memory.ts'
import { placeOf } from './measurements/measurement.ts'
import { idleServices } from './stack-files.ts'
import { quantile } from './statistics.ts'

const DOCUMENT = path.join(import.meta.dirname, '../docs/benchmarks.md')
const INTERVAL_S = 10
/** So that each container has been checked a few times at its interval. */
const WATCHED_S = 35
const HEALTHY_WITHIN_MS = 300_000
const BAR_WIDTH = 24

interface Growth {
  readonly count: number
  readonly upMs: number
  /** PSS of the engine's own processes. */
  readonly engineMib: number
  /** Of the time between two checks of a container: the 99th percentile, in s. */
  readonly checkEveryS: number
  readonly downMs: number
}

const { values: flags } = parseArgs({
  options: {
    counts: { type: 'string', default: '10,50,100,200,350,500' },
    write: { type: 'boolean', default: false },
  },
})

async function grow(engine: Engine, client: Client, count: number): Promise<Growth> {
  const services = idleServices(count, {
    healthcheck: { test: ['CMD', 'true'], interval: `${String(INTERVAL_S)}s` },
  })
  const place = placeOf(engine, { project: `scale${String(count)}`, services })
  const { wallMs: upMs } = await engine.sandbox.run(engine.up(place))
  await eventually(
    `${String(count)} healthy containers`,
    async () => (await healthyOf(client)) === count,
    HEALTHY_WITHIN_MS,
  )
  await sleep(WATCHED_S * 1000)
  if ((await healthyOf(client)) !== count) throw new Error('a container did not stay healthy')
  const { mib } = engineMemory(engine)
  const checkEveryS = quantile(await timesBetweenChecks(client), 0.99)
  const { wallMs: downMs } = await engine.sandbox.run(engine.down(place))
  return { count, upMs, engineMib: mib, checkEveryS, downMs }
}

async function healthyOf(client: Client): Promise<number> {
  return (await client.containers({})).filter(({ health }) => health === 'healthy').length
}

/** In s, of all containers. The first checks of a container follow each other faster until it is healthy. */
async function timesBetweenChecks(client: Client): Promise<number[]> {
  const gaps: number[] = []
  for (const { id } of await client.containers({})) {
    const times = (await client.container(id)).healthLog.map(({ time }) => Date.parse(time) / 1000)
    gaps.push(
      ...times.slice(-2).flatMap((time, index, all) => time - (all[index - 1] ?? time) || []),
    )
  }
  return gaps
}

function bar(value: number, most: number): string {
  return '█'.repeat(Math.max(1, Math.round((value / most) * BAR_WIDTH)))
}

/** Time and memory for each further container against the smallest stack: flat bars are linear growth. */
function report(rows: readonly Growth[]): string {
  const perContainer = rows.map(({ count, upMs }) => upMs / count)
  const most = Math.max(...perContainer)
  const lines = rows.map(({ count, upMs, engineMib, checkEveryS, downMs }, index) => {
    const each = perContainer[index] ?? 0
    return [
      String(count).padStart(4),
      `${(upMs / 1000).toFixed(1).padStart(5)} s`,
      `${each.toFixed(1).padStart(5)} ms ${bar(each, most).padEnd(BAR_WIDTH)}`,
      `${(downMs / 1000).toFixed(1).padStart(5)} s`,
      `${engineMib.toFixed(0).padStart(4)} MiB`,
      `${checkEveryS.toFixed(2).padStart(6)} s`,
    ].join('  ')
  })
  const head = `   n     up     up of each${' '.repeat(BAR_WIDTH)}down    memory  between checks (p99, of ${String(INTERVAL_S)} s)`
  return ['```text', head, ...lines, '```'].join('\n')
}

function writeDocument(text: string): void {
  const [begin, end] = ['<!-- scale -->', '<!-- /scale -->']
  const document = readFileSync(DOCUMENT, 'utf8')
  const before = document.slice(0, document.indexOf(begin) + begin.length)
  writeFileSync(DOCUMENT, `${before}\n\n${text}\n\n${document.slice(document.indexOf(end))}`)
}

async function main(): Promise<void> {
  const top = mkdtempSync(path.join(os.tmpdir(), 'tsstack-bench-'))
  const probes = await compileProbes(top)
  const image = await buildImage(top, probes)
  const work = path.join(top, 'tsstack')
  mkdirSync(work)
  const engine = await openTsstack({ probes, image, top, work })
  const client = createClient({ socket: path.join(work, 'run/tsstack.sock') })
  const rows: Growth[] = []
  try {
    for (const count of flags.counts.split(',').map(Number)) {
      const row = await grow(engine, client, count)
      process.stderr.write(`${JSON.stringify(row)}\n`)
      rows.push(row)
    }
  } finally {
    await engine.close()
    rmSync(top, { recursive: true, force: true })
  }
  const text = report(rows)
  process.stdout.write(`${text}\n`)
  if (flags.write) writeDocument(text)
}

await main()
