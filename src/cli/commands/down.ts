import { GRACE_FLAG } from '../common-flags.ts'
import type { ContainerSummary } from '../../api/types.ts'
import type { Client } from '../../client/client.ts'
import { toTsstackError } from '../../errors.ts'
import type { Command } from '../command.ts'
import { resolveStackName } from '../stack-name.ts'
import { showProgress } from '../progress.ts'

/** What `--rmi` removes, of the images that containers of the stack are of. */
async function imagesOf(
  client: Client,
  stack: string,
  which: string | undefined,
): Promise<readonly string[]> {
  if (which === undefined) return []
  const containers = await client.containers({ stack, all: true })
  const isWanted = ({ image, service }: ContainerSummary): boolean =>
    which === 'all' || image === `${stack}-${service}`
  return [...new Set(containers.filter(isWanted).map(({ image }) => image))]
}

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
      help: 'Remove images too: all that its containers are of, or local, those that were built without a name',
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
    const images = await imagesOf(client, stack, flags.text('rmi'))
    const stream = client.down(stack, {
      options: {
        ...(positional.length > 0 ? { services: positional } : {}),
        volumes: flags.bool('volumes'),
        removeOrphans: flags.bool('remove-orphans'),
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      },
    })
    await showProgress(stream, context)
    for (const image of images) {
      // Another stack may use it: then it stays.
      await client.removeImages({ images: [image] }).catch((error: unknown) => {
        context.output.note(`warning: ${toTsstackError(error).message}`)
      })
    }
    return 0
  },
}
