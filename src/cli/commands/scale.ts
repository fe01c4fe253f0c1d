import type { Command } from '../command.ts'
import { BY_HAND_FLAGS, readByHand } from '../common-flags.ts'
import { showProgress } from '../progress.ts'
import { checkServices } from '../select-containers.ts'
import { credentialsForStack } from '../../sources/registry-credentials.ts'
import { loadWithServices } from '../stack-source.ts'
import { parseScale, sourceOf } from '../up-options.ts'

export const command: Command = {
  usage: '[OPTIONS] SERVICE=N...',
  summary: 'Change the number of replicas of services',
  details:
    'Until the next "tsstack up", which goes by the stack file again, or until the time of --for is over. Other services are left ' +
    'alone.',
  flags: [
    { name: 'no-deps', kind: 'bool', help: 'Do not start the services that they depend on' },
    ...BY_HAND_FLAGS,
  ],
  examples: [
    ['tsstack scale api=3 worker=0', 'Three replicas of "api", none of "worker"'],
    ['tsstack scale api=8 --for 3h --reason sale', 'As many as the file says after three hours'],
  ],
  arguments: { min: 1 },
  async run(context) {
    const scale = parseScale(context.positional)
    const services = Object.keys(scale)
    const loaded = await loadWithServices(context, services)
    checkServices(services, Object.keys(loaded.stack.services))
    const client = await context.client()
    const options = {
      ...{ services, scale, noRecreate: true, noDeps: context.flags.bool('no-deps') },
      byHand: readByHand(context.flags),
    }
    const credentials = await credentialsForStack(context.env, loaded.stack)
    const request = { ...sourceOf(loaded), ...credentials, options }
    await showProgress(client.up(loaded.stack.name, request), context)
    return 0
  },
}
