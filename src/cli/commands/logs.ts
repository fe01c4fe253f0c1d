import { TsstackError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { createLogPrinter } from '../log-printer.ts'
import { replicaOf, selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { INTERRUPTED_EXIT, onInterrupt } from '../interrupt.ts'

/** As Docker has it, less than none is all. @throws {INVALID_ARGUMENT} */
function tailOf(text = 'all'): string {
  if (text === 'all' || /^-\d+$/.test(text)) return 'all'
  if (/^\d{1,9}$/.test(text)) return text
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `invalid --tail "${text}": expected a number of lines, or all`,
  )
}

async function run(context: CommandContext): Promise<number> {
  const { flags, positional, output } = context
  const stack = await resolveStackName(context)
  const client = await context.client()
  const index = flags.number('index')
  const containers = await selectContainers({ context, client, stack }, positional, { all: true })
  const service = positional[0]
  const only =
    index !== undefined && service !== undefined
      ? replicaOf(containers, { service, index })
      : undefined
  const follow = flags.bool('follow')
  const printer = createLogPrinter(
    {
      stack,
      prefix: !flags.bool('no-log-prefix'),
      timestamps: flags.bool('timestamps'),
      color: output.color && !flags.bool('no-color'),
    },
    output,
  )
  for (const { id, name, oneoff } of containers) {
    // Of those of `run` only what was asked for by the name of the service is shown.
    const isShown = positional.length > 0 || !oneoff
    if (only === undefined ? isShown : id === only.id) printer.register(name)
  }
  const interrupt = onInterrupt()
  const query = {
    ...(positional.length > 0 ? { services: positional.join(',') } : {}),
    ...(follow ? { follow, untilEnded: true } : {}),
    tail: tailOf(flags.text('tail')),
    ...(flags.has('since') ? { since: flags.text('since') ?? '' } : {}),
    ...(flags.has('until') ? { until: flags.text('until') ?? '' } : {}),
  }
  try {
    for await (const lines of client.logs(stack, query, interrupt.signal)) {
      printer.print(
        only === undefined ? lines : lines.filter((line) => line.container === only.name),
      )
    }
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
  } finally {
    interrupt.close()
  }
  return interrupt.signal.aborted ? INTERRUPTED_EXIT : 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Show the output of containers',
  flags: [
    { name: 'follow', short: 'f', kind: 'bool', help: 'Go on with what they write from now' },
    {
      name: 'tail',
      short: 'n',
      kind: 'text',
      value: 'LINES',
      help: 'Only this many lines from the end of each container, or "all"',
    },
    { name: 'timestamps', short: 't', kind: 'bool', help: 'Time in front of each line' },
    {
      name: 'since',
      kind: 'text',
      value: 'TIME',
      help: 'Only lines after a time (2026-01-02T13:23:37Z) or a duration ago (42m)',
    },
    {
      name: 'until',
      kind: 'text',
      value: 'TIME',
      help: 'Only lines before a time or a duration ago',
    },
    { name: 'no-log-prefix', kind: 'bool', help: 'No name in front of the lines' },
    { name: 'no-color', kind: 'bool', help: 'No colours' },
    { name: 'index', kind: 'integer', value: 'N', help: 'Only this replica of the service' },
  ],
  examples: [
    ['tsstack logs -f api', 'Follow the output of all replicas of "api"'],
    [
      'tsstack logs -n 20 --since 10m',
      'At most 20 lines of each container, of the last ten minutes',
    ],
  ],
  run,
}
