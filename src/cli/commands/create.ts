import type { Command } from '../command.ts'
import { QUIET_TRANSFER_FLAGS } from '../common-flags.ts'
import { showProgress } from '../progress.ts'
import { checkServices } from '../select-containers.ts'
import { credentialsForStack } from '../../sources/registry-credentials.ts'
import { loadWithServices } from '../stack-source.ts'
import { readUpOptions, sourceOf, UP_FLAGS } from '../up-options.ts'

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Create the containers of a stack, but do not start them',
  flags: [...UP_FLAGS.filter(({ name }) => name !== 'no-start'), ...QUIET_TRANSFER_FLAGS],
  examples: [['tsstack create', 'Networks, volumes and containers; "tsstack start" starts them']],
  async run(context) {
    const { positional } = context
    const options = readUpOptions(context)
    const loaded = await loadWithServices(context, positional)
    checkServices(positional, Object.keys(loaded.stack.services))
    const client = await context.client()
    const credentials = await credentialsForStack(context.env, loaded.stack)
    const request = {
      ...sourceOf(loaded),
      ...credentials,
      options: { ...options, noStart: true },
    }
    await showProgress(client.up(loaded.stack.name, request), context)
    return 0
  },
}
