/** start, stop, restart, kill, pause, unpause: one request, six words. */
import type { LifecycleAction, LifecycleRequest } from '../../api/types.ts'
import type { Command, CommandContext } from '../command.ts'
import {
  BY_HAND_FLAGS,
  GRACE_FLAG,
  readByHand,
  refusedFlag,
  WAIT_FLAG,
  WAIT_TIMEOUT_FLAG,
} from '../common-flags.ts'
import { showProgress } from '../progress.ts'
import { selectContainers } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'

async function runAction(context: CommandContext, action: LifecycleAction): Promise<number> {
  const { flags, positional } = context
  const stack = await resolveStackName(context)
  const client = await context.client()
  // For the error with the nearest name, before anything is done.
  if (positional.length > 0) await selectContainers(client, stack, positional, { all: true })
  const timeoutSeconds = flags.number('timeout')
  const signal = flags.text('signal')
  const waitTimeoutSeconds = flags.number('wait-timeout')
  const request: LifecycleRequest = {
    action,
    ...(positional.length > 0 ? { services: positional } : {}),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(signal === undefined ? {} : { signal }),
    ...(flags.bool('no-deps') ? { noDeps: true } : {}),
    ...(flags.bool('wait') ? { wait: true } : {}),
    ...(waitTimeoutSeconds === undefined ? {} : { waitTimeoutSeconds }),
    ...readByHand(flags),
  }
  await showProgress(client.lifecycle(stack, request), context)
  return 0
}

function lifecycleCommand(
  action: LifecycleAction,
  rest: Pick<Command, 'summary' | 'flags' | 'examples'>,
): Command {
  return { usage: '[OPTIONS] [SERVICE...]', ...rest, run: (context) => runAction(context, action) }
}

export const start = lifecycleCommand('start', {
  summary: 'Start stopped containers, in the order of their dependencies',
  flags: [WAIT_FLAG, WAIT_TIMEOUT_FLAG],
  examples: [['tsstack start db', 'Start the containers of "db"']],
})

export const stop = lifecycleCommand('stop', {
  summary: 'Stop containers without removing them',
  flags: [GRACE_FLAG, ...BY_HAND_FLAGS],
  examples: [
    ['tsstack stop -t 30', 'All containers, with 30 seconds of grace'],
    ['tsstack stop --for 2h --reason "new disk" db', 'They start again after two hours'],
  ],
})

export const restart = lifecycleCommand('restart', {
  summary:
    'Restart containers; changes of the stack file are not taken over ("tsstack up" does that)',
  flags: [
    GRACE_FLAG,
    {
      name: 'no-deps',
      kind: 'bool',
      help: 'Leave services alone that ask to restart with these (depends_on.restart)',
    },
  ],
  examples: [['tsstack restart api', 'Stop and start the containers of "api"']],
})

export const kill = lifecycleCommand('kill', {
  summary: 'Kill containers, or send them a signal',
  flags: [
    {
      name: 'signal',
      short: 's',
      kind: 'text',
      value: 'SIGNAL',
      help: 'Signal to send (default: SIGKILL)',
    },
    ...BY_HAND_FLAGS,
    refusedFlag('remove-orphans', '"tsstack down --remove-orphans" stops and removes them'),
  ],
  examples: [['tsstack kill -s HUP front', 'Make "front" read its configuration again']],
})

export const pause = lifecycleCommand('pause', {
  summary: 'Freeze the processes of containers',
  flags: [],
  examples: [['tsstack pause worker', 'Freeze "worker"; "tsstack unpause worker" lets it go on']],
})

export const unpause = lifecycleCommand('unpause', {
  summary: 'Let frozen containers go on',
  flags: [],
  examples: [['tsstack unpause worker', 'Let "worker" go on']],
})
