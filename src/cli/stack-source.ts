/** The stack files that a command line names, loaded: the only place where the command line meets `spec`. */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import type { FileAccess, LoadOptions } from '../spec/load-options.ts'
import type { LoadedStack, SpecWarning } from '../spec/loaded-stack.ts'
import { TsstackError } from '../errors.ts'
import type { CommandContext } from './command.ts'

const MAX_FILE_BYTES = 64 << 20
const STDIN = 0

const FILES: FileAccess = {
  readFile: (path) => {
    const { size } = statSync(path)
    if (size > MAX_FILE_BYTES) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot read "${path}": more than ${String(MAX_FILE_BYTES)} bytes`,
      )
    }
    return readFileSync(path)
  },
  exists: (path) => statSync(path, { throwIfNoEntry: false }) !== undefined,
  isDirectory: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
  realpath: (path) => realpathSync(path),
}

/** What the loader is told by the global flags and the environment. */
export function toLoadOptions({ global, env, cwd }: CommandContext): LoadOptions {
  const home = env['HOME']
  const given = Object.entries(env).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  )
  return {
    fs: FILES,
    cwd,
    env: Object.fromEntries(given),
    files: global.files,
    envFiles: global.envFiles,
    profiles: global.profiles,
    ...(home === undefined ? {} : { home }),
    ...(global.files.includes('-') ? { stdin: readFileSync(STDIN, 'utf8') } : {}),
    ...(global.projectName === undefined ? {} : { projectName: global.projectName }),
    ...(global.projectDirectory === undefined ? {} : { projectDirectory: global.projectDirectory }),
  }
}

function warningText({ message, file, line, column }: SpecWarning): string {
  const place = file === undefined ? '' : `${file}:${String(line ?? 1)}:${String(column ?? 1)}: `
  return `warning: ${place}${message}`
}

/**
 * Loads the stack files; warnings go to standard error.
 * @throws {INVALID_ARGUMENT} SpecError with file, line and column, and when there is no stack file
 */
export async function loadSource(
  context: CommandContext,
  change: Partial<LoadOptions> = {},
): Promise<LoadedStack> {
  const { loadStack } = await import('../spec/load-stack.ts')
  const loaded = loadStack({ ...toLoadOptions(context), ...change })
  for (const warning of loaded.warnings) context.output.note(warningText(warning))
  return loaded
}

function merge<T>(
  all: Readonly<Record<string, T>>,
  more: Readonly<Record<string, T>>,
): Readonly<Record<string, T>> {
  return { ...more, ...all }
}

/**
 * As `loadSource`, with these services active though their profiles are not. Everything else stays in the stack: what is
 * missing there would be an orphan.
 */
export async function loadWithServices(
  context: CommandContext,
  services: readonly string[],
): Promise<LoadedStack> {
  const loaded = await loadSource(context)
  if (services.every((service) => Object.hasOwn(loaded.stack.services, service))) return loaded
  const { stack, contents } = await loadSource(context, { services })
  return {
    ...loaded,
    stack: {
      ...loaded.stack,
      services: merge(loaded.stack.services, stack.services),
      networks: merge(loaded.stack.networks, stack.networks),
      volumes: merge(loaded.stack.volumes, stack.volumes),
      configs: merge(loaded.stack.configs, stack.configs),
      secrets: merge(loaded.stack.secrets, stack.secrets),
    },
    contents: {
      configs: merge(loaded.contents.configs, contents.configs),
      secrets: merge(loaded.contents.secrets, contents.secrets),
    },
  }
}
