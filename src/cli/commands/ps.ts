import type { ContainerSummary, PublishedPort } from '../../api/types.ts'
import { TsstackError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { didYouMean } from '../did-you-mean.ts'
import { formatRows } from '../format-option.ts'
import { ellipsis, humanDuration } from '../human.ts'
import { selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { formatTable } from '../table.ts'

const SHORT_ID = 12
const COMMAND_WIDTH = 20
const STATES = ['paused', 'restarting', 'removing', 'running', 'dead', 'created', 'exited'] as const

/** `127.0.0.1:8080->80/tcp, [::]:8080->80/tcp, 443/tcp`, in the order of ports. */
export function formatPorts(ports: readonly PublishedPort[]): string {
  return ports
    .toSorted(
      (a, b) => a.target - b.target || a.published - b.published || (a.hostIp < b.hostIp ? -1 : 1),
    )
    .map(({ hostIp, published, target, protocol }) => {
      if (published === 0) return `${String(target)}/${protocol}`
      const host = hostIp.includes(':') ? `[${hostIp}]` : hostIp
      return `${host === '' ? '' : `${host}:`}${String(published)}->${String(target)}/${protocol}`
    })
    .join(', ')
}

/** Docker Compose's JSON for one container: strings where it has strings. */
export function toPsRow(
  container: ContainerSummary,
  options: { readonly nowMs: number; readonly truncate: boolean },
): Readonly<Record<string, unknown>> {
  const { nowMs, truncate } = options
  return {
    Command: `"${truncate ? ellipsis(container.command, COMMAND_WIDTH) : container.command}"`,
    CreatedAt: container.createdAt,
    ExitCode: container.exitCode ?? 0,
    Health: container.health === 'none' ? '' : container.health,
    ID: truncate ? container.id.slice(0, SHORT_ID) : container.id,
    Image: container.image,
    Labels: Object.entries(container.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    LocalVolumes: '0',
    Mounts: '',
    Name: container.name,
    Names: container.name,
    Networks: Object.keys(container.networks).join(','),
    Ports: formatPorts(container.ports),
    Project: container.stack,
    Publishers: container.ports.map(({ hostIp, target, published, protocol }) => ({
      URL: hostIp,
      TargetPort: target,
      PublishedPort: published,
      Protocol: protocol,
    })),
    RunningFor: `${humanDuration(nowMs - Date.parse(container.createdAt))} ago`,
    Service: container.service,
    Size: '0B',
    State: container.state,
    Status: container.status,
  }
}

/** Docker Compose's table. */
export function formatPsTable(
  containers: readonly ContainerSummary[],
  options: { readonly nowMs: number; readonly truncate: boolean },
): string {
  const header = ['NAME', 'IMAGE', 'COMMAND', 'SERVICE', 'CREATED', 'STATUS', 'PORTS']
  const rows = containers.map((container) => {
    const row = toPsRow(container, options)
    return ['Name', 'Image', 'Command', 'Service', 'RunningFor', 'Status', 'Ports'].map((field) =>
      String(row[field]),
    )
  })
  return formatTable(header, rows)
}

function wantedStates(context: CommandContext): readonly string[] {
  const states = [...context.flags.list('status')]
  const filter = context.flags.text('filter')
  if (filter !== undefined) {
    const [key = '', value] = filter.split('=', 2)
    if (value === undefined)
      throw new TsstackError('INVALID_ARGUMENT', 'arguments to --filter should be in form KEY=VAL')
    if (key !== 'status')
      throw new TsstackError('INVALID_ARGUMENT', `unknown filter ${key}`, {
        hint: 'known filters: status',
      })
    states.push(value)
  }
  for (const state of states) {
    if (!(STATES as readonly string[]).includes(state)) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `unknown status "${state}"${didYouMean(state, STATES)}`,
        { hint: `known: ${STATES.join(', ')}` },
      )
    }
  }
  return states
}

async function run(context: CommandContext): Promise<number> {
  const { flags, output, positional } = context
  const states = wantedStates(context)
  const stack = await resolveStackName(context)
  const all = flags.bool('all')
  const selected = await selectContainers(await context.client(), stack, positional, {
    all: all || states.length > 0,
  })
  const containers = selected
    .filter((container) => states.length === 0 || states.includes(container.state))
    // One-off containers of `run` are shown with -a alone, as Docker Compose does.
    .filter((container) => !container.oneoff || all)
  if (flags.bool('quiet')) output.write(containers.map((container) => `${container.id}\n`).join(''))
  else if (flags.bool('services')) {
    output.write(
      [...new Set(containers.map((container) => container.service))]
        .map((service) => `${service}\n`)
        .join(''),
    )
  } else {
    const options = { nowMs: Date.now(), truncate: !flags.bool('no-trunc') }
    const rows = containers.map((container) => toPsRow(container, options))
    output.write(
      formatRows(flags.text('format') ?? 'table', rows, true) ?? formatPsTable(containers, options),
    )
  }
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'List containers of the stack',
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Stopped containers too, and those of "run"' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Only IDs' },
    { name: 'services', kind: 'bool', help: 'Only names of services' },
    {
      name: 'status',
      kind: 'list',
      value: 'STATE',
      help: `Only containers in this state: ${STATES.join(', ')}`,
    },
    {
      name: 'filter',
      kind: 'text',
      value: 'KEY=VALUE',
      help: 'Only containers with this property: status=running',
    },
    {
      name: 'format',
      kind: 'text',
      value: 'FORMAT',
      help: 'table, json (an object a line), or a template like "{{.Name}}"',
    },
    { name: 'no-trunc', kind: 'bool', help: 'Do not shorten IDs and commands' },
    { name: 'orphans', kind: 'bool', help: 'Accepted for Docker Compose', hidden: true },
  ],
  examples: [
    ['tsstack ps', 'Running containers of the stack in this directory'],
    ['tsstack ps -a --format json', 'All of them, as JSON'],
  ],
  run,
}
