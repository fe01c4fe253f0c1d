import type { StatsSample } from '../../api/types.ts'
import type { Command, CommandContext } from '../command.ts'
import { formatRows } from '../format-option.ts'
import { humanBytes, humanSize } from '../human.ts'
import { onInterrupt } from '../interrupt.ts'
import { selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { formatTable } from '../table.ts'

const SHORT_ID = 12

/** Docker's fields for one container. Pure. */
export function toStatsRow(sample: StatsSample): Readonly<Record<string, string>> {
  const { id, name, memoryBytes, memoryLimitBytes } = sample
  return {
    BlockIO: `${humanSize(sample.blockReadBytes)} / ${humanSize(sample.blockWrittenBytes)}`,
    CPUPerc: `${sample.cpuPercent.toFixed(2)}%`,
    Container: name,
    ID: id.slice(0, SHORT_ID),
    MemPerc: `${(memoryLimitBytes > 0 ? (memoryBytes / memoryLimitBytes) * 100 : 0).toFixed(2)}%`,
    MemUsage: `${humanBytes(memoryBytes)} / ${humanBytes(memoryLimitBytes)}`,
    Name: name,
    NetIO: `${humanSize(sample.networkReceivedBytes)} / ${humanSize(sample.networkSentBytes)}`,
    PIDs: String(sample.pids),
  }
}

/** Docker's table. Pure. */
export function formatStats(samples: readonly StatsSample[]): string {
  const header = [
    'CONTAINER ID',
    'NAME',
    'CPU %',
    'MEM USAGE / LIMIT',
    'MEM %',
    'NET I/O',
    'BLOCK I/O',
    'PIDS',
  ]
  const fields = ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs']
  return formatTable(
    header,
    samples.map(toStatsRow).map((row) => fields.map((field) => row[field] ?? '')),
  )
}

/** Cursor home, each line cleared to its end, then the rest of the screen: no flicker. */
function redraw(table: string): string {
  return `\u001b[H${table.replaceAll('\n', '\u001b[K\n')}\u001b[J`
}

async function run(context: CommandContext): Promise<number> {
  const { flags, output, positional } = context
  const stack = await resolveStackName(context)
  const client = await context.client()
  const containers = await selectContainers(client, stack, positional, { all: flags.bool('all') })
  const ids = new Set(containers.map((container) => container.id))
  const format = flags.text('format') ?? 'table'
  const live = !flags.bool('no-stream')
  const screen = live && output.isTerminal && format === 'table'
  const interrupt = onInterrupt()
  const latest = new Map<string, StatsSample>()
  const take = (sample: StatsSample): void => {
    // A sample of one that is known begins a new round.
    if (latest.has(sample.id)) {
      if (!screen) show()
      latest.clear()
    }
    if (positional.length === 0 || ids.has(sample.id)) latest.set(sample.id, sample)
  }
  const show = (): void => {
    const samples = [...latest.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const text = formatRows(format, samples.map(toStatsRow), true) ?? formatStats(samples)
    output.write(screen ? redraw(text) : text)
  }
  if (screen) output.write('\u001b[2J')
  try {
    for await (const batch of client.stats({ stack, stream: live }, interrupt.signal)) {
      batch.forEach(take)
      if (screen) show()
    }
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
  } finally {
    interrupt.close()
  }
  if (!interrupt.signal.aborted && !screen) show()
  return interrupt.signal.aborted ? 130 : 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Show what containers use of CPU, memory, network and disk',
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Stopped containers too' },
    { name: 'no-stream', kind: 'bool', help: 'Only the first result' },
    {
      name: 'format',
      kind: 'text',
      value: 'FORMAT',
      help: 'table, json (an object a line), or a template like "{{.Name}}"',
    },
    { name: 'no-trunc', kind: 'bool', help: 'Accepted for Docker Compose', hidden: true },
  ],
  examples: [
    ['tsstack stats', 'A table that is renewed each second'],
    ['tsstack stats --no-stream --format json', 'Once, for a program'],
  ],
  run,
}
