import type { PullRequest } from '../../api/image-types.ts'
import type { Command, CommandContext } from '../command.ts'
import { TsstackError } from '../../errors.ts'
import { showProgress, withQuiet } from '../progress.ts'
import { serviceTransfer, transferByName, type ServiceTransfer } from '../transfer.ts'

/** Words that can be no service's name are images: they have a slash, a colon or an @. */
function looksLikeImage(word: string): boolean {
  return /[/:@]/.test(word)
}

/** Pulls images by name; the stack file is not needed. */
export async function pullByName(
  context: CommandContext,
  references: readonly string[],
): Promise<number> {
  return transferByName(context, references, (client, request) => client.pullImages(request))
}

function policyOf(word: string | undefined): Pick<PullRequest['options'], 'policy'> {
  return word === 'always' || word === 'missing' ? { policy: word } : {}
}

/** Without those that have a build, where that was asked for. */
function pulledServices({ flags }: CommandContext, request: ServiceTransfer): readonly string[] {
  const { services } = request.options
  if (!flags.bool('ignore-buildable')) return services
  const known = request.stack.services
  return (services.length > 0 ? services : Object.keys(known)).filter(
    (name) => known[name]?.build === undefined,
  )
}

async function pullServices(context: CommandContext): Promise<number> {
  const { flags, output } = context
  const request = await serviceTransfer(context, 'ignore-pull-failures')
  const services = pulledServices(context, request)
  if (services.length === 0 && flags.bool('ignore-buildable')) {
    output.note('All of these services are built: nothing to pull')
    return 0
  }
  const options = { ...request.options, services, ...policyOf(flags.text('policy')) }
  const client = await context.client()
  const stream = client.pull(request.stack.name, { ...request, options })
  await showProgress(stream, withQuiet(context))
  return 0
}

async function run(context: CommandContext): Promise<number> {
  const { positional } = context
  const images = positional.filter(looksLikeImage)
  if (images.length === 0) {
    if (!context.flags.has('platform')) return pullServices(context)
    throw new TsstackError('INVALID_ARGUMENT', 'Cannot pull services with --platform', {
      hint: 'Write "platform" at the service, or name images',
    })
  }
  if (images.length === positional.length) return pullByName(context, images)
  throw new TsstackError('INVALID_ARGUMENT', 'Cannot pull services and images in one command')
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...|IMAGE...]',
  summary: 'Pull images from registries',
  details:
    'Of services, with the pull_policy that each has; without one the registry is asked anew. A word with a slash, a colon or an @ ' +
    'in it is the name of an image. A pull that was cut off goes on where it was.',
  flags: [
    {
      name: 'ignore-pull-failures',
      kind: 'bool',
      help: 'Pull what can be pulled, warn of the rest',
    },
    { name: 'include-deps', kind: 'bool', help: 'Of the services that they depend on, too' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'No progress' },
    {
      name: 'policy',
      kind: 'text',
      value: 'POLICY',
      choices: ['always', 'missing'],
      help: "always or missing, instead of the services' own",
    },
    {
      name: 'platform',
      kind: 'text',
      value: 'PLATFORM',
      help: 'Of images by name: which of several, such as linux/amd64/v3',
    },
    { name: 'ignore-buildable', kind: 'bool', help: 'Leave services alone that have a build' },
  ],
  examples: [
    ['tsstack pull', 'The images of all services of ./compose.yaml'],
    ['tsstack pull --policy missing web', 'Of one service, if it is not here'],
    ['tsstack pull registry.example:5000/team/app:1.2', 'An image by name'],
  ],
  run,
}
