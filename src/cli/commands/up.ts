import { GRACE_FLAG, QUIET_TRANSFER_FLAGS, WAIT_FLAG, WAIT_TIMEOUT_FLAG } from '../common-flags.ts'
import type { Command, CommandContext } from '../command.ts'
import type { Client } from '../../client/client.ts'
import type { UpRequest } from '../../api/types.ts'
import { TsstackError } from '../../errors.ts'
import { showProgress, showUnchanged } from '../progress.ts'
import { credentialsForStack } from '../../sources/registry-credentials.ts'
import { looksLikePlan, readPlan } from '../saved-plan.ts'
import { checkServices } from '../select-containers.ts'
import { loadWithServices } from '../stack-source.ts'
import { readUpOptions, sourceOf, UP_FLAGS } from '../up-options.ts'

/** Flags of which no two go together. */
const INCOMPATIBLE: readonly (readonly [string, string])[] = [
  ['abort-on-container-exit', 'abort-on-container-failure'],
  ['attach', 'attach-dependencies'],
  ['no-build', 'watch'],
]

function checkFlags({ flags }: CommandContext): void {
  const isGiven = (name: string): boolean => flags.bool(name) || flags.list(name).length > 0
  const attached = [
    'abort-on-container-exit',
    'abort-on-container-failure',
    'exit-code-from',
    'watch',
  ].filter((name) => flags.has(name))
  const [first] = attached
  if (first !== undefined && (flags.bool('detach') || flags.bool('wait'))) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `--${first} is incompatible with --detach and --wait`,
    )
  }
  for (const [one, other] of INCOMPATIBLE)
    if (isGiven(one) && isGiven(other))
      throw new TsstackError('INVALID_ARGUMENT', `--${one} and --${other} are incompatible`)
  if (flags.has('wait-timeout') && !flags.bool('wait')) {
    throw new TsstackError('INVALID_ARGUMENT', '--wait-timeout needs --wait')
  }
}

/** What is asked of the daemon: by the stack files and the flags, or by a saved plan. */
async function requestOf(context: CommandContext): Promise<UpRequest> {
  const { flags, positional, env } = context
  const plan = flags.text('plan') ?? (looksLikePlan(positional[0]) ? positional[0] : undefined)
  if (plan !== undefined) {
    const { options, ...saved } = readPlan(plan)
    const { wait, waitTimeoutSeconds, timeoutSeconds } = readUpOptions({
      ...context,
      positional: [],
    })
    const own = { wait, waitTimeoutSeconds, timeoutSeconds }
    const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
    const login = await credentialsForStack(env, saved.stack)
    return { ...saved, ...login, options: { ...options, ...given } }
  }
  const options = readUpOptions(context)
  const loaded = await loadWithServices(context, positional)
  checkServices(positional, Object.keys(loaded.stack.services))
  if (Object.keys(loaded.stack.services).length === 0 && !context.global.allResources)
    throw new TsstackError('FAILED_PRECONDITION', 'no service selected', {
      hint: `Enable a profile with --profile: all services have one`,
    })
  const credentials = await credentialsForStack(env, loaded.stack)
  return { ...sourceOf(loaded), options, ...credentials }
}

async function run(context: CommandContext): Promise<number> {
  const { flags } = context
  checkFlags(context)
  const request = await requestOf(context)
  const client = await context.client()
  const stack = request.stack.name
  if (flags.bool('detach') || flags.bool('wait') || flags.bool('no-start')) {
    showUnchanged(await showProgress(client.up(stack, request), context), context)
    return 0
  }
  return runAttached(context, client, withRerun(request))
}

/** In the foreground all that is meant is shown running, what has completed before, too. */
function withRerun(request: UpRequest): UpRequest {
  const rerun = request.options.services ?? Object.keys(request.stack.services)
  return request.base === undefined
    ? { ...request, options: { ...request.options, rerun } }
    : request // of a saved plan: as it was looked at
}

async function runAttached(
  given: CommandContext,
  client: Client,
  request: UpRequest,
): Promise<number> {
  const { runInForeground } = await import('../foreground.ts')
  const { screenOf } = await import('../foreground-menu.ts')
  const { watchSwitch } = await import('../watch-switch.ts')
  const menu = screenOf(given)
  const context = menu === undefined ? given : { ...given, output: menu.output }
  const watch = watchSwitch({ context, client, request })
  const common = { context, client, stack: request.stack.name, request, watch }
  return runInForeground(menu === undefined ? common : { ...common, menu })
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Create and start the containers of a stack',
  details:
    'Brings what runs in line with the stack file: what is unchanged is left alone, what can be changed on the running container is, ' +
    'the rest is replaced ("tsstack plan" shows it). In the foreground the output of the containers follows; Ctrl-C stops them, a ' +
    'second Ctrl-C kills them.',
  flags: [
    {
      name: 'detach',
      short: 'd',
      kind: 'bool',
      help: 'Return when the containers have been started',
    },
    ...UP_FLAGS,
    ...QUIET_TRANSFER_FLAGS,
    {
      name: 'plan',
      kind: 'text',
      value: 'FILE',
      help: 'Apply a plan that "plan --out" saved, or refuse when the world has moved',
    },
    { ...WAIT_FLAG, help: `${WAIT_FLAG.help}; implies -d` },
    WAIT_TIMEOUT_FLAG,
    GRACE_FLAG,
    {
      name: 'attach',
      kind: 'list',
      value: 'SERVICE',
      help: 'Show the output of these services only',
    },
    {
      name: 'attach-dependencies',
      kind: 'bool',
      help: 'Show the output of the services that the given ones depend on, too',
    },
    {
      name: 'no-attach',
      kind: 'list',
      value: 'SERVICE',
      help: 'Do not show the output of these services',
    },
    {
      name: 'abort-on-container-exit',
      kind: 'bool',
      help: 'Stop all containers when one has ended',
    },
    {
      name: 'abort-on-container-failure',
      kind: 'bool',
      help: 'Stop all containers when one has failed',
    },
    {
      name: 'exit-code-from',
      kind: 'text',
      value: 'SERVICE',
      help: 'Return the exit code of this service; implies --abort-on-container-exit',
    },
    {
      name: 'watch',
      short: 'w',
      kind: 'bool',
      help: 'Follow the files of the project ("develop.watch"), and the stack file',
    },
    { name: 'timestamps', kind: 'bool', help: 'Time in front of each line' },
    { name: 'no-log-prefix', kind: 'bool', help: 'No name in front of the lines' },
    { name: 'no-color', kind: 'bool', help: 'No colours' },
    {
      name: 'menu',
      kind: 'bool',
      help: 'Keys below the output: w turns watch on and off, d leaves the containers running',
    },
  ],
  examples: [
    ['tsstack up -d', 'Start the stack of ./compose.yaml in the background'],
    [
      'tsstack up --wait --wait-timeout 60',
      'Return when all services are healthy, fail after a minute',
    ],
    ['tsstack up -d --scale api=3 api', 'Three replicas of "api", and what it depends on'],
  ],
  run,
}
