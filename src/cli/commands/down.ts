import { GRACE_FLAG } from '../common-flags.ts'
import type { Command } from '../command.ts'
import { resolveStackName } from '../stack-name.ts'
import { showProgress } from '../progress.ts'

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Stop and remove the containers and networks of a stack',
  details:
    "Works without the stack file: the daemon's own record of the stack is used, so -p NAME is enough.",
  flags: [
    {
      name: 'volumes',
      short: 'v',
      kind: 'bool',
      help: 'Remove named volumes of the stack and anonymous volumes too',
    },
    {
      name: 'remove-orphans',
      kind: 'bool',
      help: 'Remove containers of services that the stack file no longer has',
    },
    GRACE_FLAG,
    {
      name: 'rmi',
      kind: 'text',
      value: 'WHICH',
      choices: ['local', 'all'],
      help: 'Accepted for Docker Compose',
      hidden: true,
    },
  ],
  examples: [
    ['tsstack down', 'Remove what "up" made; volumes stay'],
    ['tsstack -p shop down -v', 'Remove the stack "shop" with its data'],
  ],
  async run(context) {
    const { flags, positional } = context
    const stack = await resolveStackName(context)
    const timeoutSeconds = flags.number('timeout')
    const client = await context.client()
    const stream = client.down(stack, {
      options: {
        ...(positional.length > 0 ? { services: positional } : {}),
        volumes: flags.bool('volumes'),
        removeOrphans: flags.bool('remove-orphans'),
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      },
    })
    await showProgress(stream, context)
    return 0
  },
}
