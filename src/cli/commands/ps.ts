import type { ContainerSummary, PublishedPort } from '../../api/types.ts'
import type { Command, CommandContext } from '../command.ts'
import { ellipsis, humanDuration } from '../human.ts'
import { FORMAT_FLAG, QUIET_FLAG, renderListing } from '../listing.ts'
import { parsePsFilters, STATES } from '../ps-filters.ts'
import { selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { loadSource } from '../stack-source.ts'
import { formatTable } from '../table.ts'

const SHORT_ID = 12
const COMMAND_WIDTH = 20
const MOUNT_WIDTH = 15

/** Docker's headers, where they are not the field's name. */
const TITLES = { ID: 'CONTAINER ID', RunningFor: 'CREATED', ExitCode: 'EXIT CODE' }

/** Ports that follow one another, of one address and protocol, each published as its own number or not at all. */
interface PortRange {
  readonly first: PublishedPort
  last: number
}

/** In front, as Docker has them, those that can be written as ranges. */
function toRanges(ports: readonly PublishedPort[]): readonly PortRange[] {
  const ranges: PortRange[] = []
  for (const port of ports) {
    const open = ranges.find(
      ({ first, last }) =>
        last + 1 === port.target &&
        first.hostIp === port.hostIp &&
        first.protocol === port.protocol &&
        (first.published === 0) === (port.published === 0),
    )
    if (open === undefined) ranges.push({ first: port, last: port.target })
    else open.last = port.target
  }
  return ranges
}

function portText({ first, last }: PortRange): string {
  const { hostIp, published, target, protocol } = first
  const end = last === target ? '' : `-${String(last)}`
  const inside = `${String(target)}${end}/${protocol}`
  if (published === 0) return inside
  const host = hostIp.includes(':') ? `[${hostIp}]` : hostIp
  return `${host === '' ? '' : `${host}:`}${String(published)}${end}->${inside}`
}

/** `127.0.0.1:8000-8002->8000-8002/tcp, 443/tcp, [::]:8080->80/tcp`, in the order of ports. */
export function formatPorts(ports: readonly PublishedPort[]): string {
  const sorted = ports.toSorted(
    (a, b) => a.target - b.target || a.published - b.published || (a.hostIp < b.hostIp ? -1 : 1),
  )
  const isSame = ({ published, target }: PublishedPort): boolean =>
    published === 0 || published === target
  const others = sorted.filter((port) => !isSame(port))
  return [
    ...toRanges(sorted.filter(isSame)),
    ...others.map((port) => ({ first: port, last: port.target })),
  ]
    .map(portText)
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
    Label: (key: string) => container.labels[key] ?? '',
    Labels: Object.entries(container.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(','),
    LocalVolumes: String(container.mounts.filter(({ type }) => type === 'volume').length),
    Mounts: container.mounts
      .map(({ source }) => (truncate ? ellipsis(source, MOUNT_WIDTH) : source))
      .join(','),
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
  options: {
    readonly nowMs: number
    readonly truncate: boolean
    readonly width?: number | undefined
  },
): string {
  const header = ['NAME', 'IMAGE', 'COMMAND', 'SERVICE', 'CREATED', 'STATUS', 'PORTS']
  const rows = containers.map((container) => {
    const row = toPsRow(container, options)
    return ['Name', 'Image', 'Command', 'Service', 'RunningFor', 'Status', 'Ports'].map((field) =>
      String(row[field]),
    )
  })
  return formatTable(header, rows, options.width)
}

/** With `--orphans=false`: those of the stack file's services only. */
async function withoutOrphans(
  context: CommandContext,
  containers: readonly ContainerSummary[],
): Promise<readonly ContainerSummary[]> {
  const { flags } = context
  if (!flags.has('orphans') || flags.bool('orphans')) return containers
  const { services } = (await loadSource(context)).stack
  return containers.filter(({ service }) => Object.hasOwn(services, service))
}

async function selected(context: CommandContext): Promise<readonly ContainerSummary[]> {
  const { flags, positional } = context
  const filter = parsePsFilters(flags.list('filter'), flags.list('status'))
  const stack = await resolveStackName(context)
  const all = flags.bool('all')
  const client = await context.client()
  const found = await selectContainers({ context, client, stack }, positional, {
    all: all || filter.byState,
  })
  const wanted = found
    .filter(filter.matches)
    // One-off containers of `run` are shown when stopped ones are, too, as Docker Compose does.
    .filter((container) => !container.oneoff || all || filter.byState)
  return withoutOrphans(context, wanted)
}

async function run(context: CommandContext): Promise<number> {
  const { flags, output } = context
  const containers = await selected(context)
  if (flags.bool('services')) {
    const services = new Set(containers.map((container) => container.service))
    output.write([...services].map((service) => `${service}\n`).join(''))
    return 0
  }
  const options = { nowMs: Date.now(), truncate: !flags.bool('no-trunc') }
  output.write(
    await renderListing(context, {
      rows: containers.map((container) => toPsRow(container, options)),
      jsonLines: true,
      titles: TITLES,
      quiet: containers.map(({ id }) => id),
      table: (width) => formatPsTable(containers, { ...options, width }),
      setting: 'psFormat',
    }),
  )
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'List containers of the stack',
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Stopped containers too, and those of "run"' },
    { ...QUIET_FLAG, help: 'Only IDs' },
    { name: 'services', kind: 'bool', help: 'Only names of services' },
    {
      name: 'status',
      kind: 'list',
      value: 'STATE',
      help: `Only containers in this state: ${STATES.join(', ')}`,
    },
    {
      name: 'filter',
      kind: 'list',
      value: 'KEY=VALUE',
      help: 'Only containers with this status, health, label or name: status=running',
    },
    FORMAT_FLAG,
    { name: 'no-trunc', kind: 'bool', help: 'Do not shorten IDs and commands' },
    {
      name: 'orphans',
      kind: 'bool',
      help: 'Those of services that the stack file no longer has (default); --orphans=false without',
    },
  ],
  examples: [
    ['tsstack ps', 'Running containers of the stack in this directory'],
    ['tsstack ps -a --format json', 'All of them, as JSON'],
    ["tsstack ps --format 'table {{.Name}}\\t{{.Status}}'", 'Two columns'],
    ['tsstack ps --filter health=unhealthy -q', 'IDs of what is ill'],
  ],
  run,
}
