/** The flags of `up`, `plan` and their like that say what is wanted. */
import type { UpRequest } from '../api/types.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import { TsstackError } from '../errors.ts'
import type { Flag } from './args.ts'
import { sshAgentOf } from './build-options.ts'
import type { CommandContext } from './command.ts'
import { needlessFlag } from './common-flags.ts'
import { isSwitchedOn } from './switched-on.ts'

export const PULL_FLAG: Flag = {
  name: 'pull',
  kind: 'text',
  value: 'POLICY',
  choices: ['always', 'missing', 'never'],
  help: "Images from registries: always, missing or never, instead of the services' pull_policy",
}

export const UP_FLAGS: readonly Flag[] = [
  { name: 'force-recreate', kind: 'bool', help: 'Replace containers though nothing changed' },
  {
    name: 'always-recreate-deps',
    kind: 'bool',
    help: 'Replace the containers of services that the given ones depend on, too',
  },
  { name: 'no-recreate', kind: 'bool', help: 'Leave existing containers though something changed' },
  { name: 'no-deps', kind: 'bool', help: 'Leave the services that they depend on alone' },
  {
    name: 'scale',
    kind: 'list',
    value: 'SERVICE=N',
    help: 'This number of replicas; repeat it for several services',
  },
  {
    name: 'remove-orphans',
    kind: 'bool',
    help: 'Remove containers of services that the stack file no longer has',
  },
  { name: 'no-start', kind: 'bool', help: 'Create containers, but do not start them' },
  {
    name: 'renew-anon-volumes',
    short: 'V',
    kind: 'bool',
    help: 'Give replaced containers new anonymous volumes',
  },
  { name: 'build', kind: 'bool', help: 'Build images before containers are started' },
  { name: 'no-build', kind: 'bool', help: 'Build nothing, though an image is missing' },
  {
    ...PULL_FLAG,
    choices: ['always', 'missing', 'never', 'build'],
    help: `${PULL_FLAG.help}; build: build what can be built, as --build`,
  },
  needlessFlag('yes', 'no question is asked', { short: 'y' }),
]

const MAX_REPLICAS = 10_000

/** `SERVICE=N` words. @throws {INVALID_ARGUMENT} for others */
export function parseScale(pairs: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const match = /^([^=]+)=(\d{1,6})$/.exec(pair)
      const count = Number(match?.[2])
      if (match === null || count > MAX_REPLICAS) {
        throw new TsstackError(
          'INVALID_ARGUMENT',
          `invalid --scale option "${pair}": expected SERVICE=NUMBER`,
        )
      }
      return [match[1] ?? '', count]
    }),
  )
}

/** The wire's form of `--pull`. */
export function readPull(policy: string | undefined): Pick<UpRequest['options'], 'pull'> {
  return policy === 'always' || policy === 'missing' || policy === 'never' ? { pull: policy } : {}
}

function readBuild(flags: CommandContext['flags']): Pick<UpRequest['options'], 'build'> {
  if (flags.bool('build') && flags.bool('no-build'))
    throw new TsstackError('INVALID_ARGUMENT', '--build and --no-build are incompatible')
  if (flags.bool('build') || flags.text('pull') === 'build') return { build: 'always' }
  return flags.bool('no-build') ? { build: 'never' } : {}
}

/** What travels to the daemon of a loaded stack file. */
export function sourceOf({
  stack,
  files,
  workingDir,
  contents,
  disabledServices,
}: LoadedStack): Pick<
  UpRequest,
  'stack' | 'files' | 'workingDir' | 'contents' | 'disabledServices'
> {
  return { stack, files, workingDir, contents, disabledServices }
}

/** @throws {INVALID_ARGUMENT} for flags that contradict each other, and a wrong --scale */
export function readUpOptions({ flags, positional, env }: CommandContext): UpRequest['options'] {
  for (const name of ['force-recreate', 'always-recreate-deps', 'renew-anon-volumes'])
    if (flags.bool(name) && flags.bool('no-recreate'))
      throw new TsstackError('INVALID_ARGUMENT', `--${name} and --no-recreate are incompatible`)
  const scale = parseScale(flags.list('scale'))
  const timeoutSeconds = flags.number('timeout')
  const waitTimeoutSeconds = flags.number('wait-timeout')
  const removeOrphans =
    flags.bool('remove-orphans') ||
    (!flags.has('remove-orphans') && isSwitchedOn(env['COMPOSE_REMOVE_ORPHANS']))
  return {
    ...(positional.length > 0 ? { services: positional, rerun: positional } : {}),
    forceRecreate: flags.bool('force-recreate'),
    alwaysRecreateDeps: flags.bool('always-recreate-deps'),
    noRecreate: flags.bool('no-recreate'),
    noDeps: flags.bool('no-deps'),
    removeOrphans,
    ...(isSwitchedOn(env['COMPOSE_IGNORE_ORPHANS']) ? { ignoreOrphans: true } : {}),
    noStart: flags.bool('no-start'),
    renewAnonVolumes: flags.bool('renew-anon-volumes'),
    ...readPull(flags.text('pull')),
    ...readBuild(flags),
    ...sshAgentOf(env),
    ...(Object.keys(scale).length > 0 ? { scale } : {}),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(flags.bool('wait') ? { wait: true } : {}),
    ...(waitTimeoutSeconds === undefined ? {} : { waitTimeoutSeconds }),
  }
}
