import type { ContainerSummary, StatsSample } from '../../api/types.ts'
import type { Command, CommandContext } from '../command.ts'
import { humanBytes, humanSize } from '../human.ts'
import { INTERRUPTED_EXIT, onInterrupt } from '../interrupt.ts'
import { FORMAT_FLAG, renderListing } from '../listing.ts'
import { selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { formatTable } from '../table.ts'

const SHORT_ID = 12

/** Docker's fields for one container. Pure. */
export function toStatsRow(sample: StatsSample, isFull = false): Readonly<Record<string, string>> {
  const { id, name, memoryBytes, memoryLimitBytes } = sample
  return {
    BlockIO: `${humanSize(sample.blockReadBytes)} / ${humanSize(sample.blockWrittenBytes)}`,
    CPUPerc: `${sample.cpuPercent.toFixed(2)}%`,
    Container: name,
    ID: isFull ? id : id.slice(0, SHORT_ID),
    MemPerc: `${(memoryLimitBytes > 0 ? (memoryBytes / memoryLimitBytes) * 100 : 0).toFixed(2)}%`,
    MemUsage: `${humanBytes(memoryBytes)} / ${humanBytes(memoryLimitBytes)}`,
    Name: name,
    NetIO: `${humanSize(sample.networkReceivedBytes)} / ${humanSize(sample.networkSentBytes)}`,
    PIDs: String(sample.pids),
  }
}

/** Docker's headers. */
const TITLES = {
  ID: 'CONTAINER ID',
  CPUPerc: 'CPU %',
  MemUsage: 'MEM USAGE / LIMIT',
  MemPerc: 'MEM %',
  NetIO: 'NET I/O',
  BlockIO: 'BLOCK I/O',
}

/** Columns of a terminal that all of the table fits into. */
const WIDE_ENOUGH = 100

const COLUMNS = ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs']

/** Docker's table. Pure. */
export function formatStats(samples: readonly StatsSample[], width?: number): string {
  const titles: Readonly<Record<string, string>> = TITLES
  // Where there is no room for both, the name says more than the ID.
  const columns = width !== undefined && width < WIDE_ENOUGH ? COLUMNS.slice(1) : COLUMNS
  return formatTable(
    columns.map((name) => titles[name] ?? name.toUpperCase()),
    samples
      .map((sample) => toStatsRow(sample))
      .map((row) => columns.map((field) => row[field] ?? '')),
    width,
  )
}

/** Cursor home, each line cleared to its end, then the rest of the screen: no flicker. */
function redraw(table: string): string {
  return `\u001b[H${table.replaceAll('\n', '\u001b[K\n')}\u001b[J`
}

/** What a container that does not run uses. */
function idleSample({ id, name, service }: ContainerSummary): StatsSample {
  return {
    ...{ id, name, service, cpuPercent: 0, cpuTotalNanos: 0, memoryBytes: 0, memoryLimitBytes: 0 },
    ...{ networkReceivedBytes: 0, networkSentBytes: 0, blockReadBytes: 0, blockWrittenBytes: 0 },
    pids: 0,
  }
}

/** The samples of one round, and how they are shown. */
class StatsRound {
  readonly #context: CommandContext
  readonly #containers: readonly ContainerSummary[]
  readonly #latest = new Map<string, StatsSample>()

  constructor(context: CommandContext, containers: readonly ContainerSummary[]) {
    this.#context = context
    this.#containers = containers
  }

  /** @param onWhole - called when a sample begins a new round: the old one is whole, and still there */
  async take(batch: readonly StatsSample[], onWhole: () => Promise<void>): Promise<void> {
    const { positional } = this.#context
    for (const sample of batch) {
      if (this.#latest.has(sample.id)) {
        await onWhole()
        this.#latest.clear()
      }
      if (positional.length === 0 || positional.includes(sample.service))
        this.#latest.set(sample.id, sample)
    }
  }

  async render(): Promise<string> {
    const { flags } = this.#context
    const idle = flags.bool('all')
      ? this.#containers.filter(({ id }) => !this.#latest.has(id)).map(idleSample)
      : []
    const samples = [...this.#latest.values(), ...idle].toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    )
    return renderListing(this.#context, {
      rows: samples.map((sample) => toStatsRow(sample, flags.bool('no-trunc'))),
      jsonLines: true,
      titles: TITLES,
      setting: 'statsFormat',
      table: (width) => formatStats(samples, width),
    })
  }
}

async function run(context: CommandContext): Promise<number> {
  const { flags, output, positional } = context
  const stack = await resolveStackName(context)
  const client = await context.client()
  const containers = await selectContainers({ context, client, stack }, positional, { all: true })
  const live = !flags.bool('no-stream')
  const screen = live && output.isTerminal && (flags.text('format') ?? 'table') === 'table'
  const interrupt = onInterrupt()
  const round = new StatsRound(context, containers)
  if (screen) output.write('\u001b[2J')
  try {
    for await (const batch of client.stats({ stack, stream: live }, interrupt.signal)) {
      await round.take(batch, async () => {
        if (!screen) output.write(await round.render())
      })
      if (screen) output.write(redraw(await round.render()))
    }
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
  } finally {
    interrupt.close()
  }
  if (interrupt.signal.aborted) return INTERRUPTED_EXIT
  if (!screen) output.write(await round.render())
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Show what containers use of CPU, memory, network and disk',
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Stopped containers too' },
    { name: 'no-stream', kind: 'bool', help: 'Only the first result' },
    FORMAT_FLAG,
    { name: 'no-trunc', kind: 'bool', help: 'Whole IDs' },
  ],
  examples: [
    ['tsstack stats', 'A table that is renewed each second'],
    ['tsstack stats --no-stream --format json', 'Once, for a program'],
  ],
  run,
}
