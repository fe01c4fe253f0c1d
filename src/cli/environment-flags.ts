import { TsstackError } from '../errors.ts'

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
