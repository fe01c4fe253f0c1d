/** What `.env`, or the files of `--env-file`, say of the command line itself. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { GlobalOptions } from './global-options.ts'
import { isSwitchedOn } from './switched-on.ts'

/** Those that the stack files have nothing to do with: of the others the loader takes care. */
const SETTINGS = [
  'COMPOSE_ANSI',
  'COMPOSE_IGNORE_ORPHANS',
  'COMPOSE_MENU',
  'COMPOSE_PARALLEL_LIMIT',
  'COMPOSE_PROGRESS',
  'COMPOSE_REMOVE_ORPHANS',
] as const

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // the loader says what is wrong with it
  }
}

/** In the order in which later ones win. */
function envFilesOf(
  { envFiles, files, projectDirectory }: GlobalOptions,
  env: NodeJS.ProcessEnv,
  cwd: string,
): readonly string[] {
  if (envFiles.length > 0) return envFiles.map((file) => resolve(cwd, file))
  if (isSwitchedOn(env['COMPOSE_DISABLE_ENV_FILE'])) return []
  const first = files.find((file) => file !== '-')
  const directory = projectDirectory ?? (first === undefined ? '.' : dirname(first))
  return [resolve(cwd, directory, '.env')]
}

/** The environment with the settings of the environment files below it, as Docker Compose has them. */
export async function withFileSettings(
  env: NodeJS.ProcessEnv,
  global: GlobalOptions,
  cwd: string,
): Promise<NodeJS.ProcessEnv> {
  const texts = envFilesOf(global, env, cwd).map(readIfThere)
  if (!texts.some((text) => SETTINGS.some((name) => text.includes(name)))) return env
  const { parseDotenv } = await import('../spec/dotenv.ts')
  const found = new Map<string, string>()
  for (const text of texts) {
    try {
      const variables = parseDotenv(text, (name) => env[name] ?? found.get(name))
      for (const [name, value] of variables) found.set(name, value)
    } catch {
      // The loader says what is wrong with it.
    }
  }
  const settings = SETTINGS.flatMap((name): [string, string][] => {
    const value = found.get(name)
    return value === undefined ? [] : [[name, value]]
  })
  return { ...Object.fromEntries(settings), ...env }
}
