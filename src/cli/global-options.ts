/** The flags that every command takes, and the environment variables that stand in for them. */
import { TsstackError } from '../errors.ts'
import type { Flag, Flags } from './args.ts'
import type { AnsiMode } from './output.ts'

export const PROGRESS_MODES = ['auto', 'tty', 'plain', 'json', 'quiet'] as const
export type ProgressMode = (typeof PROGRESS_MODES)[number]

export const GLOBAL_FLAGS: readonly Flag[] = [
  {
    name: 'file',
    short: 'f',
    kind: 'list',
    value: 'PATH',
    help: 'Stack file; repeat it to merge several, "-" reads standard input',
  },
  { name: 'project-name', short: 'p', kind: 'text', value: 'NAME', help: 'Name of the stack' },
  {
    name: 'all-resources',
    kind: 'bool',
    help: 'Keep networks, volumes, configs and secrets that no service uses',
  },
  { name: 'profile', kind: 'list', value: 'NAME', help: 'Enable a profile; repeat it for several' },
  {
    name: 'env-file',
    kind: 'list',
    value: 'PATH',
    help: 'Read this instead of .env; repeat it for several',
  },
  {
    name: 'project-directory',
    kind: 'text',
    value: 'PATH',
    help: 'Directory that relative paths start from (default: that of the first stack file)',
    aliases: ['workdir'],
  },
  {
    name: 'progress',
    kind: 'text',
    value: 'MODE',
    choices: PROGRESS_MODES,
    help: 'How progress is shown: auto, tty, plain, json, quiet',
  },
  {
    name: 'ansi',
    kind: 'text',
    value: 'WHEN',
    choices: ['auto', 'always', 'never'],
    help: 'Colours and cursor control: auto, always, never',
  },
  { name: 'no-ansi', kind: 'bool', help: 'As --ansi never', hidden: true },
  {
    name: 'parallel',
    kind: 'integer',
    value: 'N',
    help: 'At most so many operations at the same time (default: 8); -1: no bound',
  },
  {
    name: 'dry-run',
    kind: 'bool',
    help: 'Change nothing: show what would be done, and why',
  },
  {
    name: 'verbose',
    kind: 'bool',
    help: 'Say more: causes of errors, what the client asks of the daemon',
  },
  { name: 'help', short: 'h', kind: 'bool', help: 'Show help' },
  { name: 'version', short: 'v', kind: 'bool', help: 'Show the version', hidden: true },
  {
    name: 'compatibility',
    kind: 'bool',
    help: 'containers are called "stack-service-1", with hyphens',
    hidden: true,
    effect: 'refused',
  },
]

export interface GlobalOptions {
  readonly files: readonly string[]
  readonly allResources: boolean
  readonly projectName: string | undefined
  readonly profiles: readonly string[]
  readonly envFiles: readonly string[]
  readonly projectDirectory: string | undefined
  readonly progress: ProgressMode
  readonly ansi: AnsiMode
  readonly verbose: boolean
  readonly dryRun: boolean
  /** Operations at the same time; undefined: the daemon's own bound. */
  readonly parallel: number | undefined
}

function commaList(text: string | undefined): readonly string[] {
  return (text ?? '').split(',').filter((part) => part !== '')
}

function choice<T extends string>(
  name: string,
  text: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (text === undefined || text === '') return undefined
  const found = choices.find((candidate) => candidate === text)
  if (found === undefined) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use ${name}="${text}": expected one of ${choices.join(', ')}`,
    )
  }
  return found
}

/** Docker Compose's -1 is no bound. */
const UNBOUNDED = 1000

/** @throws {INVALID_ARGUMENT} for a number that bounds nothing */
function readParallel(given: number | undefined, variable: string | undefined): number | undefined {
  const text = variable === undefined || variable === '' ? undefined : Number(variable)
  const parallel = given ?? text
  if (parallel === undefined) return undefined
  if (parallel === -1) return UNBOUNDED
  if (Number.isInteger(parallel) && parallel > 0) return parallel
  const name = given === undefined ? 'COMPOSE_PARALLEL_LIMIT' : '--parallel'
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use ${name}="${String(given ?? variable)}": expected -1, or a number above 0`,
  )
}

/**
 * Joins the global flags before and after the command with their environment variables; flags win.
 * @throws {INVALID_ARGUMENT} for a wrong value in an environment variable
 */
export function readGlobalOptions(
  before: Flags,
  after: Flags,
  env: NodeJS.ProcessEnv,
): GlobalOptions {
  const text = (name: string): string | undefined => after.text(name) ?? before.text(name)
  const list = (name: string): readonly string[] => [...before.list(name), ...after.list(name)]
  const envFiles = list('env-file')
  return {
    files: list('file'),
    allResources: before.bool('all-resources') || after.bool('all-resources'),
    projectName: text('project-name'),
    profiles: list('profile'),
    envFiles: envFiles.length > 0 ? envFiles : commaList(env['COMPOSE_ENV_FILES']),
    projectDirectory: text('project-directory'),
    progress:
      (text('progress') as ProgressMode | undefined) ??
      choice('COMPOSE_PROGRESS', env['COMPOSE_PROGRESS'], PROGRESS_MODES) ??
      'auto',
    ansi:
      (text('ansi') as AnsiMode | undefined) ??
      (before.bool('no-ansi') || after.bool('no-ansi') ? 'never' : undefined) ??
      choice('COMPOSE_ANSI', env['COMPOSE_ANSI'], ['auto', 'always', 'never'] as const) ??
      'auto',
    verbose: before.bool('verbose') || after.bool('verbose'),
    dryRun: before.bool('dry-run') || after.bool('dry-run'),
    parallel: readParallel(
      after.number('parallel') ?? before.number('parallel'),
      env['COMPOSE_PARALLEL_LIMIT'],
    ),
  }
}
