import type { NetworkRequest } from '../../api/types.ts'
import { TsstackError } from '../../errors.ts'
import type { Flag } from '../args.ts'
import type { Command, CommandContext, Subcommand } from '../command.ts'
import { FORMAT_FLAG, renderListing } from '../listing.ts'
import { confirmed } from '../confirmed.ts'
import { withSubcommands } from '../subcommands.ts'
import { formatTable } from '../table.ts'

const FLAGS: readonly Flag[] = [
  { name: 'quiet', short: 'q', kind: 'bool', help: 'ls: only names' },
  { ...FORMAT_FLAG, help: `ls: ${FORMAT_FLAG.help}` },
  { name: 'force', short: 'f', kind: 'bool', help: 'prune: do not ask; rm: none is no error' },
  { name: 'driver', short: 'd', kind: 'text', value: 'DRIVER', help: 'create: bridge or macvlan' },
  { name: 'subnet', kind: 'list', value: 'SUBNET', help: 'create: a subnet, "10.5.0.0/24"' },
  { name: 'ip-range', kind: 'list', value: 'SUBNET', help: 'create: the part of it to use' },
  { name: 'gateway', kind: 'list', value: 'ADDRESS', help: 'create: the gateway in it' },
  { name: 'internal', kind: 'bool', help: 'create: no way out and none in' },
  { name: 'ipv6', kind: 'bool', help: 'create: IPv6 addresses too' },
  { name: 'opt', short: 'o', kind: 'list', value: 'KEY=VALUE', help: 'create: of the driver' },
  { name: 'label', kind: 'list', value: 'KEY=VALUE', help: 'create: a label' },
]

/** `key=value` words as a record. */
export function pairs(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => word.split(/=(.*)/s)).map(([k = '', v = '']) => [k, v]),
  )
}

async function list(context: CommandContext): Promise<number> {
  const rows = (await (await context.client()).networks()).map((network) => ({
    Name: network.name,
    Driver: network.driver,
    Stack: network.stack ?? '',
    Subnets: network.subnets.join(', '),
    Internal: network.internal,
    Interface: network.bridge,
    Scope: 'local',
  }))
  context.output.write(
    await renderListing(context, {
      rows,
      jsonLines: true,
      quiet: rows.map(({ Name }) => Name),
      setting: 'networksFormat',
      table: (width) =>
        formatTable(
          ['NAME', 'DRIVER', 'STACK', 'SUBNETS'],
          rows.map((row) => [row.Name, row.Driver, row.Stack, row.Subnets]),
          width,
        ),
    }),
  )
  return 0
}

async function create(context: CommandContext, [name = '']: readonly string[]): Promise<number> {
  const { flags, output, client } = context
  await (await client()).createNetwork(requestOf(name, flags))
  output.line(name)
  return 0
}

function requestOf(name: string, flags: CommandContext['flags']): NetworkRequest {
  const [ranges, gateways] = [flags.list('ip-range'), flags.list('gateway')]
  const subnets = flags.list('subnet').map((subnet, index) => ({
    subnet,
    ...(ranges[index] === undefined ? {} : { ipRange: ranges[index] }),
    ...(gateways[index] === undefined ? {} : { gateway: gateways[index] }),
  }))
  if (Math.max(ranges.length, gateways.length) > subnets.length)
    throw new TsstackError('INVALID_ARGUMENT', '--ip-range and --gateway need a --subnet each')
  const driver = flags.text('driver')
  return {
    name,
    ...(driver === undefined ? {} : { driver }),
    ...(subnets.length === 0 ? {} : { subnets }),
    internal: flags.bool('internal'),
    ipv6: flags.bool('ipv6'),
    options: pairs(flags.list('opt')),
    labels: pairs(flags.list('label')),
  }
}

/** Each name in turn; the first failure is told when all have been tried. */
export async function removeEach(
  { flags, output }: CommandContext,
  names: readonly string[],
  remove: (name: string) => Promise<void>,
): Promise<number> {
  let failure: unknown
  for (const name of names) {
    try {
      await remove(name)
      output.line(name)
    } catch (error) {
      const isMissing = error instanceof TsstackError && error.code === 'NOT_FOUND'
      if (!(isMissing && flags.bool('force'))) failure ??= error
    }
  }
  if (failure !== undefined) throw failure as TsstackError
  return 0
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  ls: {
    usage: '',
    summary: 'list networks, with the stack that each belongs to',
    arguments: { min: 0, max: 0 },
    flags: ['quiet', 'format'],
    run: list,
  },
  inspect: {
    usage: 'NAME...',
    summary: 'show all of a network as JSON, with who is on it',
    arguments: { min: 1 },
    flags: [],
    run: async ({ output, client }, names) => {
      const api = await client()
      const details = await Promise.all(names.map((name) => api.network(name)))
      output.line(JSON.stringify(details, null, 2))
      return 0
    },
  },
  create: {
    usage: '[OPTIONS] NAME',
    summary: 'make one that stacks share as external',
    arguments: { min: 1, max: 1 },
    flags: ['driver', 'subnet', 'ip-range', 'gateway', 'internal', 'ipv6', 'opt', 'label'],
    run: create,
  },
  rm: {
    usage: 'NAME...',
    summary: 'remove networks that no container is on',
    arguments: { min: 1 },
    flags: ['force'],
    run: async (context, names) => {
      const api = await context.client()
      return removeEach(context, names, (name) => api.removeNetwork(name))
    },
  },
  prune: {
    usage: '[-f]',
    summary: 'remove all networks that no container is on',
    arguments: { min: 0, max: 0 },
    flags: ['force'],
    run: async (context) => {
      if (!(await confirmed(context, 'Remove all networks without a container?'))) return 1
      const { removed } = await (await context.client()).pruneNetworks()
      context.output.write(removed.map((name) => `${name}\n`).join(''))
      return 0
    },
  },
}

export const command: Command = withSubcommands(
  'network',
  {
    summary: 'List, make and remove networks',
    flags: FLAGS,
    examples: [
      ['tsstack network ls', 'All networks'],
      ['tsstack network create --subnet 10.5.0.0/24 proxy', 'One for stacks to share'],
      ['tsstack network inspect proxy', 'Its addresses, and which containers are on it'],
    ],
  },
  SUBCOMMANDS,
)
