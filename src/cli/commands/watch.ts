import type { UpRequest } from '../../api/types.ts'
import { credentialsForStack } from '../../sources/registry-credentials.ts'
import type { Command, CommandContext } from '../command.ts'
import { onInterrupt } from '../interrupt.ts'
import { showProgress } from '../progress.ts'
import { checkServices } from '../select-containers.ts'
import { loadWithServices } from '../stack-source.ts'
import { sourceOf } from '../up-options.ts'
import { watchStack } from '../watch-stack.ts'

const INTERRUPTED_EXIT = 130

async function run(context: CommandContext): Promise<number> {
  const { flags, positional, env } = context
  const loaded = await loadWithServices(context, positional)
  checkServices(positional, Object.keys(loaded.stack.services))
  const client = await context.client()
  const request: UpRequest = {
    ...sourceOf(loaded),
    options: positional.length > 0 ? { services: positional } : {},
    ...(await credentialsForStack(env, loaded.stack)),
  }
  const watch = watchStack({ context, client, request })
  const interrupt = onInterrupt()
  try {
    // First, so that new containers have what is synced initially before their programs start.
    await watch.start()
    if (!flags.bool('no-up'))
      await showProgress(client.up(loaded.stack.name, request, interrupt.signal), context)
    await interrupt.raised
  } finally {
    await watch.stop()
    interrupt.close()
  }
  return INTERRUPTED_EXIT
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Follow the files of a project into its running containers',
  details:
    'Brings the stack up, then does what "develop.watch" says whenever a file changes; the stack file itself is followed, too. ' +
    'Ctrl-C ends it; the containers run on.',
  flags: [
    { name: 'no-up', kind: 'bool', help: 'Do not bring the stack up first' },
    {
      name: 'prune',
      kind: 'bool',
      help: 'Remove images that a rebuild has replaced (default: true)',
    },
    { name: 'quiet', kind: 'bool', help: 'Do not show the output of builds' },
  ],
  examples: [
    ['tsstack watch', 'All services that have rules'],
    ['tsstack watch --no-up web', 'One service of a stack that runs'],
  ],
  run,
}
