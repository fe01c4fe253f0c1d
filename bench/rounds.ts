/** Measures engines in turn, round after round, and puts what came out into docs/benchmarks.md. */
import { readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { waitForCalm } from './calm.ts'
import type { Measurement } from './measurements/measurement.ts'
import { mergeTables, type Results } from './report.ts'

const DOCUMENT = path.join(import.meta.dirname, '../docs/benchmarks.md')
const CALM_WAIT_MS = 10_000

export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Values as they come, by row and column. */
export class ResultTable {
  readonly #rows = new Map<string, Map<string, number[]>>()

  get rows(): Results {
    return this.#rows
  }

  record(row: string, column: string, value: number): void {
    const columns = this.#rows.get(row) ?? new Map<string, number[]>()
    this.#rows.set(row, columns)
    columns.set(column, [...(columns.get(column) ?? []), value])
  }
}

/** What a run of measurements takes on its command line. */
export const RUN_OPTIONS = {
  trees: { type: 'string' },
  only: { type: 'string' },
  rounds: { type: 'string' },
  write: { type: 'boolean', default: false },
} as const

/** What `--rounds` says. */
export function roundsOf(flag: string | undefined): { readonly rounds?: number } {
  return flag === undefined ? {} : { rounds: Number(flag) }
}

export interface MeasureOptions {
  readonly results: ResultTable
  /** Default: the measurement's own number. */
  readonly rounds?: number
}

/** A measurement that fails for an engine is told of, and leaves its cell empty. */
export async function measure<E extends { readonly id: string; readonly title: string }>(
  measurement: Measurement<E>,
  engines: readonly E[],
  { results, rounds = measurement.rounds }: MeasureOptions,
): Promise<void> {
  for (let round = 1; round <= rounds; round++) {
    for (const engine of engines) {
      if (!(await waitForCalm(CALM_WAIT_MS))) say('  others use the machine')
      say(`  ${measurement.id} ${String(round)}/${String(rounds)} ${engine.title}`)
      const values = await measurement.measure(engine).catch((error: unknown) => {
        say(`    failed: ${String(error)}`)
      })
      for (const [row, value] of Object.entries(values ?? {})) {
        say(`    ${row}: ${value.toPrecision(4)}`)
        results.record(row, engine.id, value)
      }
    }
  }
}

export function machine(): string {
  const cpu = os.cpus()[0]?.model.trim() ?? 'unknown processor'
  const gib = Math.round(os.totalmem() / 2 ** 30)
  return `${String(os.availableParallelism())} × ${cpu}, ${String(gib)} GiB, Linux ${os.release()}, Node ${process.versions.node}`
}

/** Puts rows into the table between `<!-- NAME -->` and `<!-- /NAME -->`. */
export function writeTable(name: string, measured: string): void {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const document = readFileSync(DOCUMENT, 'utf8')
  const start = document.indexOf(begin) + begin.length
  const stop = document.indexOf(end)
  const text = `${machine()}\n\n${mergeTables(document.slice(start, stop), measured)}`
  writeFileSync(DOCUMENT, `${document.slice(0, start)}\n\n${text}\n\n${document.slice(stop)}`)
}
