import type { Command, CommandContext } from '../command.ts'
import { showProgress, withQuiet } from '../progress.ts'
import { credentialsFor, credentialsForStack } from '../../sources/registry-credentials.ts'
import { loadWithServices } from '../stack-source.ts'
import { sourceOf } from '../up-options.ts'

/** Pushes images by name. */
export async function pushByName(
  context: CommandContext,
  references: readonly string[],
): Promise<number> {
  const client = await context.client()
  const request = { references, ...(await credentialsFor(context.env, references)) }
  await showProgress(client.pushImages(request), withQuiet(context))
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Push the images of services to their registries',
  details: 'Only what a registry lacks is sent. "tsstack image push" pushes an image by its name.',
  flags: [
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
    const { flags, positional, env } = context
    const loaded = await loadWithServices(context, positional)
    const request = {
      ...sourceOf(loaded),
      options: {
        services: positional,
        includeDeps: flags.bool('include-deps'),
        ignoreFailures: flags.bool('ignore-push-failures'),
      },
      ...(await credentialsForStack(env, loaded.stack)),
    }
    const client = await context.client()
    await showProgress(client.push(loaded.stack.name, request), withQuiet(context))
    return 0
  },
}
