import type { Command } from '../command.ts'
import { formatRows } from '../format-option.ts'
import { formatTable } from '../table.ts'

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'List the stacks that this daemon runs',
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Stacks without a running container too' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Only names' },
    {
      name: 'format',
      kind: 'text',
      value: 'FORMAT',
      help: 'table, json, or a template like "{{.Name}}"',
    },
    {
      name: 'filter',
      kind: 'list',
      value: 'name=TEXT',
      help: 'Only stacks with this text in their name',
    },
  ],
  examples: [
    ['tsstack ls -a', 'All stacks, stopped ones included'],
    ['tsstack ls -q', 'Their names, for a script'],
  ],
  arguments: { min: 0, max: 0 },
  async run({ flags, output, client }) {
    const names = flags.list('filter').map((filter) => filter.replace(/^name=/, ''))
    const stacks = (await (await client()).stacks())
      .filter((stack) => flags.bool('all') || /running|paused|restarting/.test(stack.status))
      .filter((stack) => names.every((name) => stack.name.includes(name)))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const rows = stacks.map(({ name, status, configFiles }) => ({
      Name: name,
      Status: status,
      ConfigFiles: configFiles.join(','),
    }))
    if (flags.bool('quiet')) output.write(rows.map((row) => `${row.Name}\n`).join(''))
    else {
      const table = (): string =>
        formatTable(
          ['NAME', 'STATUS', 'CONFIG FILES'],
          rows.map((row) => [row.Name, row.Status, row.ConfigFiles]),
        )
      output.write(formatRows(flags.text('format') ?? 'table', rows, false) ?? table())
    }
    return 0
  },
}
