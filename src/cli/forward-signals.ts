import type { Client } from '../client/client.ts'

const FORWARDED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const

type Forwarded = (typeof FORWARDED)[number]

const ENDING: ReadonlySet<Forwarded> = new Set(['SIGINT', 'SIGTERM'])

/**
 * Passes the signals that this command gets on to a container, as `docker run` does: who ends the command ends what it
 * runs, and its exit code comes back. A first process without a handler for SIGINT or SIGTERM does not hear it, so the
 * second one kills.
 * @returns what gives the signals back to their default
 */
export function forwardSignals(
  client: Pick<Client, 'killContainer'>,
  id: string,
  note: (line: string) => void,
): () => void {
  let isEnding = false
  const handle = (signal: Forwarded): void => {
    const kills = isEnding && ENDING.has(signal)
    isEnding ||= ENDING.has(signal)
    if (kills) note('Killing…')
    // Fails when it has ended meanwhile: then its exit code is on the way.
    client.killContainer(id, kills ? 'SIGKILL' : signal).catch(() => undefined)
  }
  for (const signal of FORWARDED) process.on(signal, handle)
  return () => {
    for (const signal of FORWARDED) process.off(signal, handle)
  }
}
