import type { ContainerSummary, TopResponse } from '../../api/types.ts'
import type { Command } from '../command.ts'
import { selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { formatTable } from '../table.ts'

/** Docker Compose's table: service and replica in front, the command at the end. Pure. */
export function formatTop(
  tops: readonly { readonly container: ContainerSummary; readonly top: TopResponse }[],
): string {
  const titles = [...new Set(tops.flatMap(({ top }) => top.titles))]
  const ordered = [
    ...titles.filter((title) => title !== 'CMD'),
    ...titles.filter((title) => title === 'CMD'),
  ]
  const rows = tops.flatMap(({ container, top }) =>
    top.processes.map((process) => [
      container.service,
      String(container.number),
      ...ordered.map((title) => process[top.titles.indexOf(title)] ?? '-'),
    ]),
  )
  return rows.length === 0 ? '' : formatTable(['SERVICE', '#', ...ordered], rows)
}

export const command: Command = {
  usage: '[SERVICE...]',
  summary: 'List the processes in containers',
  flags: [],
  examples: [['tsstack top api', 'Processes of all replicas of "api"']],
  async run(context) {
    const stack = await resolveStackName(context)
    const client = await context.client()
    const containers = await selectContainers({ context, client, stack }, context.positional)
    const tops = await Promise.all(
      containers.map(async (container) => ({ container, top: await client.top(container.id) })),
    )
    context.output.write(formatTop(tops))
    return 0
  },
}
