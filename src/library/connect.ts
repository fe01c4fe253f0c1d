/** The daemon, for the library: started through ./tsstack, which has the Node that it needs. */
import { join } from 'node:path'
import { TsstackError } from '../errors.ts'
import type { Client } from '../client/client.ts'

const WRAPPER = join(import.meta.dirname, '..', '..', 'tsstack')
const START_TIMEOUT_MS = 300_000

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * A client of the daemon that the environment names; it is started when none runs.
 * @throws {UNAVAILABLE} when it does not come up; {PERMISSION_DENIED}
 */
export async function connect(env: Environment = process.env): Promise<Client> {
  const [{ isListening }, { runtimePaths }, { createClient }] = await Promise.all([
    import('../client/start-daemon.ts'),
    import('../client/runtime-paths.ts'),
    import('../client/client.ts'),
  ])
  const { socket } = runtimePaths(env)
  if (!(await isListening(socket))) await start(env)
  return createClient({ socket })
}

async function start(env: Environment): Promise<void> {
  const { execFile } = await import('node:child_process')
  await new Promise<void>((resolve, reject) => {
    const settings = { env, timeout: START_TIMEOUT_MS }
    execFile(WRAPPER, ['daemon', 'start'], settings, (error, _, stderr) => {
      if (error === null) resolve()
      else reject(failure(error, stderr))
    })
  })
}

function failure(cause: Error, stderr: string): TsstackError {
  const said = stderr.trim().replace(/^error: /, '')
  const message = said === '' ? `Cannot start the daemon: ${cause.message}` : said
  return new TsstackError('UNAVAILABLE', message, { cause })
}
