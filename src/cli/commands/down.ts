import { GRACE_FLAG } from '../common-flags.ts'
import type { StackSource } from '../../api/types.ts'
import type { Command, CommandContext } from '../command.ts'
import { imagesOfStack, removeImages } from '../down-images.ts'
import { declaredStack, isFileMeant, servicesAtHand } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'
import { showProgress } from '../progress.ts'
import { warningLine } from '../progress-view.ts'
import { sourceOf } from '../up-options.ts'

/** The stack file with the profiles that were asked for: the daemon's record has those of the last `up`. */
async function withProfiles(context: CommandContext): Promise<StackSource | undefined> {
  const { global, env } = context
  const isAsked = global.profiles.length > 0 || (env['COMPOSE_PROFILES'] ?? '') !== ''
  if (!isAsked || !isFileMeant(context)) return undefined
  const declared = await declaredStack(context)
  return declared === undefined ? undefined : sourceOf(declared)
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
      help: 'Remove images too: all of its services, or local, those that were built without a name',
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
    const hand = { context, client, stack }
    const services = await servicesAtHand(hand)
    if (services?.length === 0) {
      context.output.note(`No container of ${positional.join(', ')} to remove`)
      return 0
    }
    const images = await imagesOfStack(hand, flags.text('rmi'), services)
    const source = await withProfiles(context)
    const stream = client.down(stack, {
      ...(source === undefined ? {} : { source }),
      options: {
        ...(services === undefined ? {} : { services }),
        volumes: flags.bool('volumes'),
        removeOrphans: flags.bool('remove-orphans'),
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      },
    })
    const { changed } = await showProgress(stream, context)
    const hasRemoved = await removeImages(hand, images)
    if (!changed && !hasRemoved)
      context.output.note(
        warningLine(`no resource found to remove for stack "${stack}"`, context.global.progress),
      )
    return 0
  },
}
