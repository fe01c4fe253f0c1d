import type { Command, CommandContext } from '../command.ts'
import { COMPRESSION_FLAG, compressionOf } from '../compression-flag.ts'
import { showProgress, withQuiet } from '../progress.ts'
import { serviceTransfer, transferByName } from '../transfer.ts'

/** Pushes images by name. */
export async function pushByName(
  context: CommandContext,
  references: readonly string[],
): Promise<number> {
  const compression = compressionOf(context.flags)
  return transferByName(context, references, (client, request) =>
    client.pushImages({ ...request, ...compression }),
  )
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Push the images of services to their registries',
  details: 'Only what a registry lacks is sent. "tsstack image push" pushes an image by its name.',
  flags: [
    COMPRESSION_FLAG,
    {
      name: 'ignore-push-failures',
      kind: 'bool',
      help: 'Push what can be pushed, warn of the rest',
    },
    { name: 'include-deps', kind: 'bool', help: 'Of the services that they depend on, too' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'No progress' },
  ],
  examples: [
    ['tsstack push web', 'The image of service "web", to the registry that its name says'],
  ],
  async run(context) {
    const { options, ...source } = await serviceTransfer(context, 'ignore-push-failures')
    const request = { ...source, options: { ...options, ...compressionOf(context.flags) } }
    const client = await context.client()
    await showProgress(client.push(request.stack.name, request), withQuiet(context))
    return 0
  },
}
