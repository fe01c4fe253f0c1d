/**
 * npm run test:fuzz [-- --count N] [-- --from N]: loads N mutated projects (default 100,000). Each must end in a model or
 * an error of ours; in time in proportion to its size, measured against unchanged projects in the same process; and
 * in bounded memory: the processes that do it have 512 MiB of heap. A number that is named here is that case again:
 * `--from NUMBER --count 1`.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { readCorpus } from './corpus.ts'
import type { FuzzInput } from './fuzz-case.ts'
import { fuzzInput, loadFuzzed } from './fuzz-case.ts'

const HEAP_MB = 512
const BATCH = 500
/** A process that has said nothing for so long hangs; it is the last resort, for time is measured below. */
const SILENCE_MS = 120_000
/** A case may cost this many times what an unchanged project of its size costs, ... */
const SLOWNESS = 40
/** ... where each counts as if it had as many bytes more: aliases and errors have a price of their own. */
const FREE_BYTES = 128 << 10
const RETRIES = 3

interface Report {
  readonly number: number
  readonly outcome?: string
  readonly failure?: string
}

function measure(input: FuzzInput): number {
  const begun = performance.now()
  loadFuzzed(input)
  return performance.now() - begun
}

/** Milliseconds for a byte of an unchanged project, with the code warm. */
function msPerByte(corpus: ReturnType<typeof readCorpus>): number {
  let best = Infinity
  for (let round = 0; round < 3; round++) {
    let bytes = 0
    const begun = performance.now()
    for (const project of corpus) {
      bytes += [...project.files.values()].reduce((sum, { length }) => sum + length, 0)
      loadFuzzed({ project, bytes: 0 })
    }
    best = Math.min(best, (performance.now() - begun) / bytes)
  }
  return best
}

function runCase(corpus: ReturnType<typeof readCorpus>, number: number, unitMs: number): Report {
  const input = fuzzInput(corpus, number)
  const limitMs = unitMs * SLOWNESS * (input.bytes + FREE_BYTES)
  try {
    let tookMs = measure(input)
    // The machine may have been busy: the best of some counts.
    for (let left = RETRIES; tookMs > limitMs && left > 0; left--) {
      tookMs = Math.min(tookMs, measure(input))
    }
    if (tookMs > limitMs) {
      const times = (tookMs / limitMs) * SLOWNESS
      const failure = `slow: ${times.toFixed(0)} times as long as its ${String(input.bytes)} bytes should take`
      return { number, failure }
    }
    return { number, outcome: loadFuzzed(input) }
  } catch (error) {
    return { number, failure: error instanceof Error ? (error.stack ?? error.message) : 'thrown' }
  }
}

function work(): void {
  const corpus = readCorpus()
  const unitMs = msPerByte(corpus)
  process.on('message', ({ from, to }: { readonly from: number; readonly to: number }) => {
    for (let number = from; number < to; number++) process.send?.(runCase(corpus, number, unitMs))
  })
}

interface Totals {
  next: number
  done: number
  readonly end: number
  readonly outcomes: Map<string, number>
  readonly failures: Map<number, string>
}

/** One process after the other: after a crash the next one goes on behind the case that did it. */
async function follow(totals: Totals): Promise<void> {
  let rest: { from: number; to: number } | undefined
  for (;;) {
    const batch = rest ?? takeBatch(totals)
    if (batch === undefined) return
    const at = await runBatches(batch, totals)
    if (at === undefined) return
    rest = at.from < at.to ? at : undefined
  }
}

function takeBatch(totals: Totals): { from: number; to: number } | undefined {
  if (totals.next >= totals.end) return undefined
  const from = totals.next
  totals.next = Math.min(totals.end, from + BATCH)
  return { from, to: totals.next }
}

/** @returns what is left of a batch in which the process ended; undefined when all is done */
function runBatches(
  first: { from: number; to: number },
  totals: Totals,
): Promise<{ from: number; to: number } | undefined> {
  const child = fork(import.meta.filename, ['--worker'], {
    execArgv: [`--max-old-space-size=${String(HEAP_MB)}`],
  })
  let batch = first
  let expected = first.from
  child.send(batch)
  return new Promise((resolve) => {
    const watchdog = watch(child)
    child.on('message', ({ number, outcome, failure }: Report) => {
      watchdog.refresh()
      totals.done++
      if (outcome !== undefined)
        totals.outcomes.set(outcome, (totals.outcomes.get(outcome) ?? 0) + 1)
      if (failure !== undefined) tellFailure(totals, number, failure)
      expected = number + 1
      if (expected < batch.to) return
      const next = takeBatch(totals)
      if (next === undefined) child.disconnect()
      else {
        batch = next
        expected = next.from
        child.send(next)
      }
    })
    child.on('exit', (code, signal) => {
      clearTimeout(watchdog)
      if (expected >= batch.to) resolve(undefined)
      else {
        tellFailure(totals, expected, `its process ended: ${signal ?? `exit code ${String(code)}`}`)
        totals.done++
        resolve({ from: expected + 1, to: batch.to })
      }
    })
  })
}

function watch(child: ChildProcess): NodeJS.Timeout {
  return setTimeout(() => child.kill('SIGKILL'), SILENCE_MS)
}

function tellFailure(totals: Totals, number: number, failure: string): void {
  totals.failures.set(number, failure)
  process.stdout.write(`case ${String(number)}: ${failure}\n`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      from: { type: 'string', default: '0' },
    },
  })
  const from = Number(values.from)
  const totals: Totals = {
    next: from,
    done: 0,
    end: from + Number(values.count),
    outcomes: new Map(),
    failures: new Map(),
  }
  const ticker = setInterval(() => {
    process.stdout.write(`${String(totals.done)} of ${String(totals.end - from)}\n`)
  }, 10_000)
  await Promise.all(Array.from({ length: availableParallelism() }, () => follow(totals)))
  clearInterval(ticker)
  const told = [...totals.outcomes].map(([outcome, count]) => `${String(count)} ${outcome}`)
  process.stdout.write(`${told.join(', ')}, ${String(totals.failures.size)} failed\n`)
  process.exitCode = totals.failures.size === 0 ? 0 : 1
}

if (process.argv.includes('--worker')) work()
else await main()
