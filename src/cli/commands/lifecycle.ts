/** start, stop, restart, kill, pause, unpause: one request, six words. */
import type { LifecycleAction, LifecycleRequest } from '../../api/types.ts'
import { TsstackError } from '../../errors.ts'
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
import { servicesAtHand, type StackAtHand } from '../select-containers.ts'
import { resolveStackName } from '../stack-name.ts'

/** Of these, a service without a container is an error: nothing of it would run, though that was asked for. */
const RUNNING_AFTERWARDS: ReadonlySet<LifecycleAction> = new Set(['start', 'restart'])

async function servicesOf(
  hand: StackAtHand,
  action: LifecycleAction,
): Promise<readonly string[] | undefined> {
  const present = await servicesAtHand(hand)
  if (present === undefined || !RUNNING_AFTERWARDS.has(action)) return present
  const { context, client, stack } = hand
  const { positional } = context
  const [first = ''] = positional
  // The daemon knows nothing of a stack that was never up.
  if (present.length === 0 && (await client.containers({ stack, all: true })).length === 0)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot ${action} service "${first}": it has no container`,
      {
        hint: `Make one: tsstack up -d ${positional.join(' ')}`,
      },
    )
  return positional
}

async function runAction(context: CommandContext, action: LifecycleAction): Promise<number> {
  const { flags } = context
  const stack = await resolveStackName(context)
  const client = await context.client()
  const services = await servicesOf({ context, client, stack }, action)
  if (services?.length === 0) {
    context.output.note(`No container to ${action}`)
    return 0
  }
  const timeoutSeconds = flags.number('timeout')
  const signal = flags.text('signal')
  const waitTimeoutSeconds = flags.number('wait-timeout')
  const request: LifecycleRequest = {
    action,
    ...(services === undefined ? {} : { services }),
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
