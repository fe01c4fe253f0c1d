import type { Command } from '../command.ts'
import { formatRows } from '../format-option.ts'
import { resolveStackName } from '../stack-name.ts'
import { formatTable } from '../table.ts'

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'List the volumes of a stack',
  flags: [
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Only names' },
    {
      name: 'format',
      kind: 'text',
      value: 'FORMAT',
      help: 'table, json, or a template like "{{.Name}}"',
    },
  ],
  examples: [['tsstack volumes -q', 'Their names, for a script']],
  arguments: { min: 0, max: 0 },
  async run(context) {
    const { flags, output } = context
    const stack = await resolveStackName(context)
    const volumes = await (await context.client()).volumes(stack)
    const rows = volumes
      .map(({ name }) => ({ Driver: 'local', Name: name }))
      .toSorted((a, b) => (a.Name < b.Name ? -1 : 1))
    if (flags.bool('quiet')) output.write(rows.map(({ Name }) => `${Name}\n`).join(''))
    else {
      const table = (): string =>
        formatTable(
          ['DRIVER', 'VOLUME NAME'],
          rows.map(({ Driver, Name }) => [Driver, Name]),
        )
      output.write(formatRows(flags.text('format') ?? 'table', rows, true) ?? table())
    }
    return 0
  },
}
