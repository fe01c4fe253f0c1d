/** What builds take from the user's own environment. */
import { existsSync } from 'node:fs'

/** The socket of the ssh agent, for `RUN --mount=type=ssh`. */
export function sshAgentOf(env: NodeJS.ProcessEnv): { readonly ssh?: Record<string, string> } {
  const socket = env['SSH_AUTH_SOCK']
  return socket !== undefined && existsSync(socket) ? { ssh: { default: socket } } : {}
}
