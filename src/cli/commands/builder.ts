import { TsstackError } from '../../errors.ts'
import { parseBytes } from '../../spec/bytes.ts'
import { parseMoment } from '../../spec/moment.ts'
import type { Flag } from '../args.ts'
import { needlessFlag } from '../common-flags.ts'
import type { Command, CommandContext, Subcommand } from '../command.ts'
import { humanSize } from '../human.ts'
import { confirmed } from '../confirmed.ts'
import { withSubcommands } from '../subcommands.ts'

const FLAGS: readonly Flag[] = [
  { name: 'keep-storage', kind: 'text', value: 'SIZE', help: 'Keep this much: 500m, 10g' },
  {
    name: 'filter',
    kind: 'list',
    value: 'until=TIME',
    help: 'Only what was not of use since: 24h, 2026-01-31',
  },
  { name: 'force', short: 'f', kind: 'bool', help: 'Do not ask' },
  needlessFlag('all', 'all that no image needs goes', { short: 'a' }),
]

/** @throws {INVALID_ARGUMENT} */
function usedBeforeOf(filters: readonly string[]): number | undefined {
  const moments = filters.map((filter) => {
    const [, text = ''] = /^(?:until|unused-for)=(.+)$/.exec(filter) ?? []
    const moment = parseMoment(text, Date.now())
    if (!Number.isNaN(moment)) return moment
    throw new TsstackError('INVALID_ARGUMENT', `Cannot filter by "${filter}": it is no time`, {
      hint: 'Write until=24h, or until=2026-01-31',
    })
  })
  return moments.length === 0 ? undefined : Math.min(...moments)
}

async function prune(context: CommandContext): Promise<number> {
  const { flags, output, client } = context
  const keep = flags.text('keep-storage')
  const usedBefore = usedBeforeOf(flags.list('filter'))
  if (!(await confirmed(context, 'Remove what builds have cached?'))) return 1
  const request = {
    ...(keep === undefined ? {} : { keepBytes: parseBytes(keep) }),
    ...(usedBefore === undefined ? {} : { usedBefore }),
  }
  const { steps, reclaimedBytes } = await (await client()).pruneBuilds(request)
  output.line(`Forgotten steps: ${String(steps)}`)
  output.line(`Total reclaimed space: ${humanSize(reclaimedBytes)}`)
  return 0
}

const SUBCOMMANDS: Readonly<Record<string, Subcommand>> = {
  prune: {
    usage: '',
    summary: 'forget the steps of builds, and remove layers that no image has',
    arguments: { min: 0, max: 0 },
    flags: ['keep-storage', 'filter', 'force', 'all'],
    run: prune,
  },
}

export const command: Command = withSubcommands(
  'builder',
  {
    summary: 'Empty the cache of builds',
    flags: FLAGS,
    examples: [
      ['tsstack builder prune --keep-storage 2g', 'Keep what was of use last, 2 GiB of it'],
    ],
  },
  SUBCOMMANDS,
)
