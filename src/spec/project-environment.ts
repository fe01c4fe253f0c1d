/**
 * The project environment: the process's variables over those of `.env` or of `--env-file`. And which files, profiles
 * and name its `COMPOSE_*` variables ask for (docker/compose docs: environment-variables/envvars).
 */
import type { LoadOptions } from './load-options.ts'
import { directoryOf, resolvePath } from './posix-path.ts'
import { DotenvError, parseDotenv } from './dotenv.ts'
import type { Place } from './node.ts'
import { isRemote, localCopy } from './remote-files.ts'
import type { Session } from './session.ts'
import { readText } from './session.ts'
import type { Lookup } from './source.ts'

export type Environment = ReadonlyMap<string, string>

/** Files that are looked for, in the working directory and above it; the first that is there counts. */
export const STACK_FILES = [
  'stack.yaml',
  'stack.yml',
  'compose.yaml',
  'compose.yml',
  'docker-compose.yml',
  'docker-compose.yaml',
  'stack.ts',
]
const OVERRIDE_FILES = [
  'stack.override.yaml',
  'stack.override.yml',
  'compose.override.yml',
  'compose.override.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
]

export interface ProjectFiles {
  /** Absolute, or `-`; empty when there is no stack file. */
  readonly files: readonly string[]
  readonly workingDir: string
  readonly environment: Environment
}

/** Finds the stack files and the environment that they are read with. */
export function findProject(options: LoadOptions, session: Session): ProjectFiles {
  const base: Environment = new Map(Object.entries(options.env))
  const { cwd } = options
  const directory =
    options.projectDirectory === undefined
      ? undefined
      : resolvePath(options.projectDirectory, cwd, session.home)
  const named = absoluteFiles(options.files ?? [], cwd, session)
  const first = withEnvFiles(base, directory ?? directoryOfFirst(named) ?? cwd, {
    options,
    session,
  })
  const files = named.length > 0 ? named : filesOf(first, { cwd, start: directory ?? cwd, session })
  const workingDir = directory ?? directoryOfFirst(files) ?? cwd
  return { files, workingDir, environment: withEnvFiles(first, workingDir, { options, session }) }
}

function absoluteFiles(files: readonly string[], cwd: string, session: Session): string[] {
  return files.flatMap((file) => {
    if (file === '-') return file
    return (
      (isRemote(file)
        ? localCopy(file, undefined, session)
        : resolvePath(file, cwd, session.home)) ?? []
    )
  })
}

function directoryOfFirst(files: readonly string[]): string | undefined {
  const first = files.find((file) => file !== '-')
  return first === undefined ? undefined : directoryOf(first)
}

interface Finding {
  readonly cwd: string
  readonly start: string
  readonly session: Session
}

function filesOf(environment: Environment, { cwd, start, session }: Finding): string[] {
  const listed = environment.get('COMPOSE_FILE')
  if (listed !== undefined && listed !== '') {
    const separator = environment.get('COMPOSE_PATH_SEPARATOR') ?? ':'
    return absoluteFiles(
      (separator === '' ? [listed] : listed.split(separator)).filter((file) => file !== ''),
      cwd,
      session,
    )
  }
  for (let directory = start; ; directory = directoryOf(directory)) {
    const found = inDirectory(directory, STACK_FILES, session)
    const [file] = found
    if (file !== undefined) {
      if (found.length > 1) {
        session.diagnostics.warn(
          undefined,
          `Found several stack files: ${found.join(', ')}; using ${file}`,
        )
      }
      return [file, ...inDirectory(directory, OVERRIDE_FILES, session).slice(0, 1)]
    }
    if (directory === directoryOf(directory)) return []
  }
}

function inDirectory(directory: string, names: readonly string[], { fs }: Session): string[] {
  const paths = names.map((name) => resolvePath(name, directory))
  return paths.filter((path) => fs.exists(path) && !fs.isDirectory(path))
}

interface EnvFileOptions {
  readonly options: LoadOptions
  readonly session: Session
}

function withEnvFiles(
  environment: Environment,
  directory: string,
  { options, session }: EnvFileOptions,
): Environment {
  const { cwd, envFiles = [] } = options
  const listed = environment.get('COMPOSE_ENV_FILES') ?? ''
  const explicit = envFiles.length > 0 ? envFiles : listed.split(',').filter((file) => file !== '')
  if (explicit.length > 0) {
    return readEnvFiles(environment, absoluteFiles(explicit, cwd, session), { session })
  }
  if (isTrue(environment.get('COMPOSE_DISABLE_ENV_FILE'))) return environment
  return readEnvFiles(environment, inDirectory(directory, ['.env'], session), { session })
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(?:1|t|true)$/i.test(text)
}

/** The variables of some files below an environment: what is set stays, a later file wins over an earlier one. */
export function readEnvFiles(
  environment: Environment,
  files: readonly string[],
  { session, place }: { readonly session: Session; readonly place?: Place },
): Environment {
  const added = new Map<string, string>()
  const lookup: Lookup = (name) => environment.get(name) ?? added.get(name)
  for (const file of files) {
    const text = readText(session, file, place)
    if (text === undefined) continue
    const parsed = tryParse(file, text, { session, lookup })
    for (const [name, value] of parsed) added.set(name, value)
  }
  return added.size === 0 ? environment : new Map([...added, ...environment])
}

function tryParse(
  file: string,
  text: string,
  { session, lookup }: { readonly session: Session; readonly lookup: Lookup },
): ReadonlyMap<string, string> {
  try {
    return parseDotenv(text, lookup)
  } catch (error) {
    if (!(error instanceof DotenvError)) throw error
    const source = { file, text, directory: directoryOf(file), lookup }
    session.diagnostics.error(
      { source, offset: error.offset },
      `failed to read ${file}: ${error.message}`,
    )
    return new Map()
  }
}

/** Profiles that are asked for: of the options, else of `COMPOSE_PROFILES`. */
export function requestedProfiles(options: LoadOptions, environment: Environment): string[] {
  if (options.profiles !== undefined && options.profiles.length > 0) return [...options.profiles]
  const listed = environment.get('COMPOSE_PROFILES') ?? ''
  return listed
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}
