/** What builds take from the user's own environment. */
import { existsSync } from 'node:fs'
import { TsstackError } from '../errors.ts'

/**
 * The sockets of ssh agents, for `RUN --mount=type=ssh`.
 * @param given `ID` or `ID=SOCKET`; `default` is that of the environment
 * @throws {INVALID_ARGUMENT} where there is no such socket
 */
export function sshAgentOf(
  env: NodeJS.ProcessEnv,
  given: readonly string[] = [],
): { readonly ssh?: Record<string, string> } {
  const own = env['SSH_AUTH_SOCK']
  const sockets = given.map((text): [string, string] => {
    const [id = '', socket = own ?? ''] = text.split(/=(.*)/s)
    if (existsSync(socket)) return [id, socket]
    throw new TsstackError('INVALID_ARGUMENT', `Cannot use ssh agent "${text}": it has no socket`, {
      hint: 'Start one: eval "$(ssh-agent)"; or name its socket: --ssh default=/path',
    })
  })
  if (sockets.length > 0) return { ssh: Object.fromEntries(sockets) }
  return own !== undefined && existsSync(own) ? { ssh: { default: own } } : {}
}
