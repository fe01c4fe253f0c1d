import type { ContainerSummary } from '../../api/types.ts'
import { needlessFlag } from '../common-flags.ts'
import type { Command, CommandContext } from '../command.ts'
import { confirmed } from '../confirmed.ts'
import { DRY_RUN_PREFIX } from '../progress-view.ts'
import { showProgress } from '../progress.ts'
import { isAlive, selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'

async function run(context: CommandContext): Promise<number> {
  const { flags, positional, output, global } = context
  const stack = await resolveStackName(context)
  const client = await context.client()
  const select = (): Promise<readonly ContainerSummary[]> =>
    selectContainers({ context, client, stack }, positional, { all: true })
  const before = await select()
  if (flags.bool('stop') && before.some(isAlive)) {
    const services = [...new Set(before.map(({ service }) => service))]
    await showProgress(client.lifecycle(stack, { action: 'stop', services }), context)
  }
  const after = await select()
  // A rehearsal has stopped nothing, but what follows is about what it would have stopped.
  const stopped = after.filter(
    (container) => !isAlive(container) || (global.dryRun && flags.bool('stop')),
  )
  if (stopped.length === 0) {
    output.note('No stopped containers')
    return 0
  }
  const names = stopped.map(({ name }) => name).join(', ')
  if (!global.dryRun && !(await confirmed(context, `Remove ${names}?`))) return 1
  for (const { id, name } of stopped) {
    await client.removeContainer(id, { volumes: flags.bool('volumes') })
    output.note(` ${global.dryRun ? DRY_RUN_PREFIX : ''}Container ${name} Removed`)
  }
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Remove stopped containers',
  details: 'Named volumes and networks stay; "tsstack down" removes those.',
  flags: [
    { name: 'force', short: 'f', kind: 'bool', help: 'Do not ask' },
    { name: 'stop', short: 's', kind: 'bool', help: 'Stop them first' },
    { name: 'volumes', short: 'v', kind: 'bool', help: 'Remove their anonymous volumes too' },
    needlessFlag('all', 'containers of "run" are removed, too', { short: 'a' }),
  ],
  examples: [['tsstack rm -fs worker', 'Stop and remove the containers of "worker"']],
  run,
}
