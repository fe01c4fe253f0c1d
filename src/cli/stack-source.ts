/** The stack files that a command line names, loaded: the only place where the command line meets `spec`. */
import { readFileSync } from 'node:fs'
import type { SourceOptions } from '../sources/load-sources.ts'
import {
  loadSources,
  loadWithServices as loadServices,
  withSources,
} from '../sources/load-sources.ts'
import type { LoadOptions } from '../spec/load-options.ts'
import type { LoadedStack, SpecWarning } from '../spec/loaded-stack.ts'
import type { CommandContext } from './command.ts'
import { warningLine } from './progress-view.ts'

const STDIN = 0

let stdin: string | undefined

/** It can be read but once, and a command may look into the stack files twice. */
function readStdin(): string {
  stdin ??= readFileSync(STDIN, 'utf8')
  return stdin
}

/** What the loader is told by the global flags and the environment. */
export function toSourceOptions({ global, env, cwd }: CommandContext): SourceOptions {
  const home = env['HOME']
  const given = Object.entries(env).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  )
  return {
    cwd,
    env: Object.fromEntries(given),
    files: global.files,
    envFiles: global.envFiles,
    profiles: global.profiles,
    allResources: global.allResources,
    ...(home === undefined ? {} : { home }),
    ...(global.files.includes('-') ? { stdin: readStdin() } : {}),
    ...(global.projectName === undefined ? {} : { projectName: global.projectName }),
    ...(global.projectDirectory === undefined ? {} : { projectDirectory: global.projectDirectory }),
  }
}

function warningText({ message, file, line, column }: SpecWarning): string {
  const point = line === undefined ? '' : `:${String(line)}:${String(column ?? 1)}`
  return file === undefined ? message : `${file}${point}: ${message}`
}

function withWarnings(loaded: LoadedStack, { output, global }: CommandContext): LoadedStack {
  for (const warning of loaded.warnings)
    output.note(warningLine(warningText(warning), global.progress))
  return loaded
}

/**
 * Loads the stack files; warnings go to standard error.
 * @throws {INVALID_ARGUMENT} SpecError with file, line and column, and when there is no stack file
 */
export async function loadSource(
  context: CommandContext,
  change: Partial<LoadOptions> = {},
): Promise<LoadedStack> {
  return withWarnings(await loadSources({ ...toSourceOptions(context), ...change }), context)
}

/** As `loadSource`, with these services active though their profiles are not. */
export async function loadWithServices(
  context: CommandContext,
  services: readonly string[],
): Promise<LoadedStack> {
  return withWarnings(await loadServices(toSourceOptions(context), services), context)
}

/** The variables that stack files are read with: our own over those of `.env` or of `--env-file`. */
export async function projectEnvironment(
  context: CommandContext,
): Promise<ReadonlyMap<string, string>> {
  const { findProject } = await import('../spec/project-environment.ts')
  const { checkpoint } = await import('../spec/remote-files.ts')
  const { openSession } = await import('../spec/session.ts')
  return withSources(toSourceOptions(context), (options) => {
    const session = openSession(options)
    const { environment } = findProject(options, session)
    checkpoint(session)
    return environment
  })
}
