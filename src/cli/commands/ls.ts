import { TsstackError } from '../../errors.ts'
import type { Command } from '../command.ts'
import { FORMAT_FLAG, QUIET_FLAG, renderListing } from '../listing.ts'
import { formatTable } from '../table.ts'

/**
 * Docker's filter: a regular expression that is looked for anywhere in the name.
 * @throws {INVALID_ARGUMENT} for what is not `name=PATTERN`
 */
function nameFilter(text: string): RegExp {
  const [key = '', value] = text.split(/=(.*)/s)
  if (key !== 'name' || value === undefined)
    throw new TsstackError('INVALID_ARGUMENT', `invalid filter "${text}": expected name=PATTERN`)
  try {
    return new RegExp(value)
  } catch (error) {
    throw new TsstackError('INVALID_ARGUMENT', `invalid filter "${text}"`, { cause: error })
  }
}

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'List the stacks that this daemon runs',
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Stacks without a running container too' },
    QUIET_FLAG,
    FORMAT_FLAG,
    {
      name: 'filter',
      kind: 'list',
      value: 'name=PATTERN',
      help: 'Only stacks whose name fits: name=shop, name=^shop$; one of several',
    },
  ],
  examples: [
    ['tsstack ls -a', 'All stacks, stopped ones included'],
    ['tsstack ls -q', 'Their names, for a script'],
  ],
  arguments: { min: 0, max: 0 },
  async run(context) {
    const { flags, output } = context
    const names = flags.list('filter').map(nameFilter)
    const stacks = (await (await context.client()).stacks())
      .filter((stack) => flags.bool('all') || /running|paused|restarting/.test(stack.status))
      .filter((stack) => names.length === 0 || names.some((name) => name.test(stack.name)))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const rows = stacks.map(({ name, status, configFiles }) => ({
      Name: name,
      Status: status,
      ConfigFiles: configFiles.join(','),
    }))
    output.write(
      await renderListing(context, {
        rows,
        jsonLines: false,
        titles: { ConfigFiles: 'CONFIG FILES' },
        quiet: rows.map(({ Name }) => Name),
        table: (width) =>
          formatTable(
            ['NAME', 'STATUS', 'CONFIG FILES'],
            rows.map((row) => [row.Name, row.Status, row.ConfigFiles]),
            width,
          ),
      }),
    )
    return 0
  },
}
