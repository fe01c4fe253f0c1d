/**
 * Renewal in place: the process becomes the daemon's program anew, which may be a later version by now (man 2 execve).
 *
 *   SIGUSR2 ─▶ the new program is tried: it has to load
 *           ─▶ no more connections are taken; those that come wait in the socket's queue
 *           ─▶ requests are answered; streams that a client follows end, and the client goes on with the next daemon
 *           ─▶ execve: same pid, so that containers stay its children; the socket goes on with it
 *
 * Everything else is as after a crash: the keeper holds what containers need, the records say what runs.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { TsstackError } from '../errors.ts'

/** Given to the program, it ends with 0 as soon as all of it is loaded. */
export const TRIAL = '--trial'
/** What is not answered by then is cut. */
const SETTLE_MS = 30_000
/** For programs of sessions that were cut to be told so. */
const HANG_UP_MS = 50

/** How this process was started. */
const programOf = (more: readonly string[] = []): [string, ...string[]] => [
  process.execPath,
  ...process.execArgv,
  process.argv[1] ?? '',
  ...more,
]

/** @throws {FAILED_PRECONDITION} when the program at this one's place does not load */
export async function tryProgram(environment: NodeJS.ProcessEnv): Promise<void> {
  const [file, ...words] = programOf([TRIAL])
  const child = spawn(file, words, { env: environment, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code === 0) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot renew the daemon: its program does not load: ${said.trim()}`,
  )
}

interface Settling {
  settle(timeoutMs: number): Promise<number>
  cut(): void
}

/** Lets what is in flight end. @returns how many were cut */
export async function settleRequests(requests: Settling): Promise<number> {
  const left = await requests.settle(SETTLE_MS)
  if (left === 0) return 0
  requests.cut()
  await new Promise((resolve) => setTimeout(resolve, HANG_UP_MS))
  return left
}

/** Does not return. Descriptors that are not close-on-exec go on to the program. */
export function becomeAnew(environment: Readonly<Record<string, string>>): void {
  process.execve?.(process.execPath, programOf(), environment)
}
