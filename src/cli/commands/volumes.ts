import type { VolumeSummary } from '../../api/types.ts'
import { volumeNamed } from '../../planner/replica-identity.ts'
import { volumeKeys } from '../../planner/resource-operations.ts'
import type { Command } from '../command.ts'
import { FORMAT_FLAG, QUIET_FLAG, renderListing } from '../listing.ts'
import { checkServices } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { loadSource } from '../stack-source.ts'
import { formatTable } from '../table.ts'
import { toVolumeRow, VOLUME_TITLES } from '../volume-row.ts'
import type { CommandContext } from '../command.ts'

/** The volumes of the stack; of those that these services mount only, when there are any. */
async function volumesOf(context: CommandContext): Promise<readonly VolumeSummary[]> {
  const { positional } = context
  const client = await context.client()
  if (positional.length === 0) return client.volumes(await resolveStackName(context))
  const { stack } = await loadSource(context)
  checkServices(positional, Object.keys(stack.services))
  const mounted = positional.flatMap((service) => volumeKeys(stack.services[service] ?? {}))
  const volumes = await client.volumes()
  return volumes.filter(({ name }) => mounted.includes(volumeNamed(stack, name)?.key ?? name))
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'List the volumes of a stack, or of some of its services',
  flags: [QUIET_FLAG, FORMAT_FLAG],
  examples: [
    ['tsstack volumes -q', 'Their names, for a script'],
    ['tsstack volumes db', 'Those that "db" mounts'],
  ],
  async run(context) {
    const rows = (await volumesOf(context))
      .map(toVolumeRow)
      .toSorted((a, b) => (a.Name < b.Name ? -1 : 1))
    context.output.write(
      await renderListing(context, {
        rows,
        jsonLines: true,
        titles: VOLUME_TITLES,
        quiet: rows.map(({ Name }) => Name),
        table: () =>
          formatTable(
            ['DRIVER', 'VOLUME NAME'],
            rows.map(({ Driver, Name }) => [Driver, Name]),
          ),
      }),
    )
    return 0
  },
}
