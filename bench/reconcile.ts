/**
 * What a look at a stack costs when nothing differs: the daemon's CPU time for each periodic pass over 10, then 50 … 1,000
 * services.
 *
 *   npm run bench:reconcile [-- --counts 10,50] [--write]
 *
 * Prints a table with bars; with --write it goes into docs/benchmarks.md. Needs root.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startDaemonFixture, type DaemonFixture, type StackParts } from '../test/daemon-fixture.ts'

const DOCUMENT = path.join(import.meta.dirname, '../docs/benchmarks.md')
const STACK = 'reconcile'
const PASSES = 5
/** The lowest of them counts: others only have more of what else goes on. */
const WINDOWS = 3
/** What `up` leaves to do, and the first look, which takes baselines. */
const SETTLE_MS = 5000
const BAR_WIDTH = 24
/** man 5 proc_pid_stat: utime and stime, in ticks of a hundredth of a second on every machine of ours. */
const [UTIME, STIME, TICK_MS] = [11, 12, 10]

interface Cost {
  readonly count: number
  /** CPU time of the daemon for one pass. */
  readonly passMs: number
}

const { values: flags } = parseArgs({
  options: {
    counts: { type: 'string', default: '10,50,100,200,500,1000' },
    write: { type: 'boolean', default: false },
  },
})

function partsOf(count: number): StackParts {
  const service = {
    image: 'host:sleep',
    command: ['sleep', 'infinity'],
    stop_signal: 'SIGKILL',
    networks: { default: null },
  }
  const names = Array.from({ length: count }, (_, index) => `s${String(index + 1)}`)
  return {
    services: Object.fromEntries(names.map((name) => [name, service])),
    networks: { default: { name: `${STACK}_default` } },
  }
}

/** Between passes next to nothing happens in the daemon: all of its CPU time is taken as theirs. */
async function measure(count: number): Promise<Cost> {
  const daemon = await startDaemonFixture({ environment: { TSSTACK_RECONCILE_INTERVAL: '1' } })
  try {
    await daemon.up(STACK, partsOf(count))
    await sleep(SETTLE_MS)
    const windows: number[] = []
    for (let window = 0; window < WINDOWS; window++)
      windows.push(await cpuMsOf(daemon, PASSES * 1000))
    return { count, passMs: Math.min(...windows) / PASSES }
  } finally {
    await daemon.close()
  }
}

async function cpuMsOf(daemon: DaemonFixture, windowMs: number): Promise<number> {
  const before = cpuMs(daemon.pid)
  await sleep(windowMs)
  return cpuMs(daemon.pid) - before
}

function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[UTIME]) + Number(fields[STIME])) * TICK_MS
}

/** CPU time of each service: flat bars are linear growth. */
function report(rows: readonly Cost[]): string {
  const most = Math.max(...rows.map(({ count, passMs }) => passMs / count))
  const lines = rows.map(({ count, passMs }) => {
    const each = passMs / count
    const bar = '█'.repeat(Math.max(1, Math.round((each / most) * BAR_WIDTH)))
    return [
      String(count).padStart(4),
      `${passMs.toFixed(1).padStart(6)} ms`,
      `${(each * 1000).toFixed(0).padStart(5)} µs ${bar}`,
    ].join('  ')
  })
  return ['```text', '   n       pass  of each service', ...lines, '```'].join('\n')
}

function writeDocument(text: string): void {
  const [begin, end] = ['<!-- reconcile -->', '<!-- /reconcile -->']
  const document = readFileSync(DOCUMENT, 'utf8')
  const before = document.slice(0, document.indexOf(begin) + begin.length)
  writeFileSync(DOCUMENT, `${before}\n\n${text}\n\n${document.slice(document.indexOf(end))}`)
}

const rows: Cost[] = []
for (const count of flags.counts.split(',').map(Number)) {
  const row = await measure(count)
  process.stderr.write(`${JSON.stringify(row)}\n`)
  rows.push(row)
}
const text = report(rows)
process.stdout.write(`${text}\n`)
if (flags.write) writeDocument(text)
