import type { RollbackRequest } from '../../api/revision-types.ts'
import { TsstackError } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { GRACE_FLAG, WAIT_FLAG, WAIT_TIMEOUT_FLAG } from '../common-flags.ts'
import { showProgress, showUnchanged } from '../progress.ts'
import { resolveStackName } from '../stack-name.ts'

function requestOf({ flags, positional }: CommandContext): RollbackRequest {
  const [revision] = positional
  if (revision !== undefined && !/^[1-9]\d{0,7}$/.test(revision))
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `invalid revision "${revision}": expected its number, as "tsstack history" shows it`,
    )
  const timeoutSeconds = flags.number('timeout')
  const waitTimeoutSeconds = flags.number('wait-timeout')
  return {
    ...(revision === undefined ? {} : { revision: Number(revision) }),
    ...(flags.bool('wait') ? { wait: true } : {}),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(waitTimeoutSeconds === undefined ? {} : { waitTimeoutSeconds }),
  }
}

export const command: Command = {
  usage: '[OPTIONS] [REVISION]',
  summary: 'Go back to an earlier revision of a stack',
  details:
    'By default to the last one that succeeded before the current one. Its model, configs, secrets and images (by their ids, ' +
    'whatever their names mean now) are applied as a new revision; services that it does not have are removed. Data in ' +
    'volumes, and files that are bind-mounted, stay as they are.',
  flags: [WAIT_FLAG, WAIT_TIMEOUT_FLAG, GRACE_FLAG],
  examples: [
    ['tsstack rollback', 'To the last one that was good'],
    ['tsstack rollback 3', 'To revision 3'],
  ],
  arguments: { min: 0, max: 1 },
  async run(context) {
    const request = requestOf(context)
    const stack = await resolveStackName(context)
    const client = await context.client()
    showUnchanged(await showProgress(client.rollback(stack, request), context), context)
    return 0
  },
}
