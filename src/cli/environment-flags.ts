import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { TsstackError } from '../errors.ts'
import { DotenvError, parseDotenv } from '../spec/dotenv.ts'
import type { CommandContext } from './command.ts'

/**
 * `-e KEY=VALUE`, and `-e KEY` for our own value, which is left out when there is none.
 * @throws {INVALID_ARGUMENT} for an empty name
 */
export function parseEnvironment(
  pairs: readonly string[],
  env: NodeJS.ProcessEnv,
): Readonly<Record<string, string>> {
  const environment: Record<string, string> = {}
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    const name = equals === -1 ? pair : pair.slice(0, equals)
    if (name === '')
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `invalid environment variable "${pair}": expected KEY=VALUE`,
      )
    const value = equals === -1 ? env[name] : pair.slice(equals + 1)
    if (value !== undefined) environment[name] = value
  }
  return environment
}

/**
 * `--env-from-file`, in the form of `.env`; later files win.
 * @throws {INVALID_ARGUMENT} for a file that cannot be read, with the line where it is wrong
 */
export function readEnvironmentFiles({
  flags,
  env,
  cwd,
}: Pick<CommandContext, 'flags' | 'env' | 'cwd'>): Readonly<Record<string, string>> {
  const variables = new Map<string, string>()
  for (const name of flags.list('env-from-file')) {
    try {
      const text = readFileSync(resolve(cwd, name), 'utf8')
      const found = parseDotenv(text, (key) => variables.get(key) ?? env[key])
      for (const [key, value] of found) variables.set(key, value)
    } catch (error) {
      const reason =
        error instanceof DotenvError ? error.message : 'it is not there, or not readable'
      throw new TsstackError('INVALID_ARGUMENT', `Cannot read "${name}": ${reason}`, {
        cause: error,
      })
    }
  }
  return Object.fromEntries(variables)
}
