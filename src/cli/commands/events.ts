import type { EngineEvent } from '../../api/types.ts'
import { flatten } from '../../client/flatten.ts'
import { TsstackError } from '../../errors.ts'
import { parseMoment } from '../../spec/moment.ts'
import type { Command, CommandContext } from '../command.ts'
import { INTERRUPTED_EXIT, onInterrupt } from '../interrupt.ts'
import { eventFilter } from '../event-filters.ts'
import { formatRows } from '../format-option.ts'
import { resolveStackName } from '../stack-name.ts'
import { printable } from '../table.ts'
import { LONGEST_TIMER_MS } from '../../timer-limit.ts'

/** Docker Compose's text: `2026-01-02 13:23:37.000000 container start 1234 (name=web-1)`. Pure. */
export function formatEvent({ time, type, action, id, attributes }: EngineEvent): string {
  const stamp = time
    .replace('T', ' ')
    .replace(/(\.\d{6})\d*/, '$1')
    .replace(/Z$/, '')
  const pairs = Object.entries(attributes)
    .toSorted()
    .map(([key, value]) => `${key}=${value}`)
  const details = pairs.length === 0 ? '' : ` (${pairs.join(', ')})`
  return printable(`${stamp} ${type} ${action} ${id}${details}`)
}

/** A line of output, its newline included. @throws {INVALID_ARGUMENT} for a template that can't be used */
function formatted(event: EngineEvent, { flags }: CommandContext): string {
  const { time, type, action, id, service = '', attributes } = event
  if (flags.bool('json')) return `${toJson(event)}\n`
  const row = {
    Action: action,
    Attributes: attributes,
    ID: id,
    Service: service,
    Time: time,
    Type: type,
  }
  const text = formatRows(flags.text('format') ?? '', { rows: [row], jsonLines: true })
  return text ?? `${formatEvent(event)}\n`
}

function toJson({ time, type, action, id, service, attributes }: EngineEvent): string {
  return JSON.stringify({ action, attributes, id, service: service ?? '', time, type })
}

function untilMs(context: CommandContext): number {
  const until = context.flags.text('until')
  if (until === undefined) return Infinity
  const ms = parseMoment(until, Date.now())
  if (Number.isNaN(ms))
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `invalid --until "${until}": expected a time like 2026-01-02T13:23:37Z, or how long ago, like 10m`,
    )
  return ms
}

async function run(context: CommandContext): Promise<number> {
  const { flags, output, positional } = context
  const endMs = untilMs(context)
  const isWanted = eventFilter(flags.list('filter'))
  if (flags.has('json') && flags.has('format'))
    throw new TsstackError('INVALID_ARGUMENT', '--json and --format are incompatible')
  const stack = flags.bool('all') ? undefined : await resolveStackName(context)
  const since = flags.text('since')
  const client = await context.client()
  const interrupt = onInterrupt()
  const restMs = endMs - Date.now()
  const signal =
    restMs > 0 && Number.isFinite(restMs)
      ? AbortSignal.any([interrupt.signal, AbortSignal.timeout(Math.min(restMs, LONGEST_TIMER_MS))])
      : interrupt.signal
  try {
    const query = {
      follow: restMs > 0,
      ...(stack === undefined ? {} : { stack }),
      ...(since === undefined ? {} : { since }),
    }
    for await (const event of flatten(client.events(query, signal))) {
      if (positional.length > 0 && !positional.includes(event.service ?? '')) continue
      if (Date.parse(event.time) > endMs) break
      if (isWanted(event)) output.write(formatted(event, context))
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    interrupt.close()
  }
  return interrupt.signal.aborted ? INTERRUPTED_EXIT : 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Receive events of the containers as they happen',
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Of all stacks, and of the daemon' },
    { name: 'json', kind: 'bool', help: 'A JSON object a line' },
    {
      name: 'since',
      kind: 'text',
      value: 'TIME',
      help: 'Begin with those since a time (2026-01-02T13:23:37Z), or so long ago (10m)',
    },
    { name: 'until', kind: 'text', value: 'TIME', help: 'End at this time' },
    {
      name: 'filter',
      kind: 'list',
      value: 'KEY=VALUE',
      help: 'Only these, by event, type, container or service; those of one key are alternatives',
    },
    {
      name: 'format',
      kind: 'text',
      value: 'FORMAT',
      help: 'json, or a template of Go: {{.Time}} {{.Action}} {{.Attributes.name}}',
    },
  ],
  examples: [
    ['tsstack events --json', 'For a program'],
    ['tsstack events --all --filter event=drift', 'What somebody changes under the stacks'],
    ['tsstack events --since 1h --until 5m web', 'What happened to "web" meanwhile'],
  ],
  run,
}
