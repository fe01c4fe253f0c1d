import type { Command } from '../command.ts'
import { showProgress } from '../progress.ts'
import { selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'

export const command: Command = {
  usage: '[OPTIONS] SERVICE...',
  summary: 'Wait until a container of these services has ended',
  details: 'Its exit code is printed, and is that of the command. The first to end decides.',
  flags: [{ name: 'down-project', kind: 'bool', help: 'Then take the whole stack down' }],
  examples: [['tsstack wait migrate', 'Until the migration is over; its exit code is returned']],
  arguments: { min: 1 },
  async run(context) {
    const { flags, positional, output } = context
    const stack = await resolveStackName(context)
    const client = await context.client()
    const containers = await selectContainers(client, stack, positional, { all: true })
    const first = await Promise.race(
      containers.map(async ({ id, name }) => ({ name, ...(await client.waitContainer(id)) })),
    )
    output.line(`container "${first.name}" exited with status code ${String(first.exitCode)}`)
    if (flags.bool('down-project')) await showProgress(client.down(stack, { options: {} }), context)
    return first.exitCode
  },
}
