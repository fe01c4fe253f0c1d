import type { Flag } from '../args.ts'
import type { Command, CommandContext, Subcommand } from '../command.ts'
import { humanSize } from '../human.ts'
import { formatUsage, formatUsageDetails, removedLines } from '../image-tables.ts'
import { FORMAT_FLAG, PRUNE_FILTER_FLAG, renderListing } from '../listing.ts'
import { confirmed } from '../confirmed.ts'
import { withSubcommands } from '../subcommands.ts'

const FLAGS: readonly Flag[] = [
  { name: 'all', short: 'a', kind: 'bool', help: 'prune: images with a name, too' },
  { name: 'volumes', kind: 'bool', help: 'prune: anonymous volumes, too' },
  { name: 'force', short: 'f', kind: 'bool', help: 'prune: do not ask' },
  PRUNE_FILTER_FLAG,
  { name: 'verbose', short: 'v', kind: 'bool', help: 'df: of each image, container and volume' },
  { ...FORMAT_FLAG, help: `df: ${FORMAT_FLAG.help}` },
]

async function df(context: CommandContext): Promise<number> {
  if (context.flags.bool('verbose')) return dfVerbose(context)
  const usage = await (await context.client()).diskUsage()
  const rows = usage.map((row) => ({
    Type: row.type,
    TotalCount: String(row.total),
    Active: String(row.active),
    Size: humanSize(row.sizeBytes),
    Reclaimable: humanSize(row.reclaimableBytes),
  }))
  context.output.write(
    await renderListing(context, {
      rows,
      jsonLines: true,
      titles: { TotalCount: 'TOTAL' },
      table: () => formatUsage(usage),
    }),
  )
  return 0
}

/** Each thing; as JSON one object of lists. */
async function dfVerbose({ flags, output, client }: CommandContext): Promise<number> {
  const details = await (await client()).diskUsageDetails()
  if (flags.text('format') === 'json') output.line(JSON.stringify(details))
  else output.write(formatUsageDetails(details))
  return 0
}

async function prune(context: CommandContext): Promise<number> {
  const { flags, output, client } = context
  const [all, volumes, filters] = [flags.bool('all'), flags.bool('volumes'), flags.list('filter')]
  const what = [
    'containers that have ended',
    'networks that nobody uses',
    all ? 'all images that no container uses' : 'images that nothing names',
    ...(filters.length === 0 ? ['what builds have cached'] : []),
    ...(volumes ? ['anonymous volumes that nobody uses'] : []),
  ]
  const chosen = filters.length === 0 ? '' : `, as far as ${filters.join(' and ')} holds`
  if (!(await confirmed(context, `Remove ${what.join(', ')}${chosen}?`))) return 1
  const pruned = await (await client()).pruneSystem({ all, volumes, filters })
  for (const name of pruned.containers) output.line(`Deleted container: ${name}`)
  for (const name of pruned.networks) output.line(`Deleted network: ${name}`)
  for (const name of pruned.volumes) output.line(`Deleted volume: ${name}`)
  for (const line of removedLines(pruned.images)) output.line(line)
  output.line(`Total reclaimed space: ${humanSize(pruned.reclaimedBytes)}`)
  return 0
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  df: {
    usage: '',
    summary:
      'show the room that images, containers, volumes and the cache of builds take on the disk',
    arguments: { min: 0, max: 0 },
    flags: ['format', 'verbose'],
    run: df,
  },
  prune: {
    usage: '',
    summary: 'remove what nothing uses',
    arguments: { min: 0, max: 0 },
    flags: ['all', 'volumes', 'force', 'filter'],
    run: prune,
  },
}

export const command: Command = withSubcommands(
  'system',
  {
    summary: 'Show what takes room on the disk, and make room',
    flags: FLAGS,
    examples: [
      ['tsstack system df', 'What takes room, and how much of it would come back'],
      ['tsstack system prune -a --volumes', 'Make room'],
    ],
  },
  SUBCOMMANDS,
)
