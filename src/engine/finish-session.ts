import type { ExecSession } from './exec-session.ts'
import { LONGEST_TIMER_MS } from '../timer-limit.ts'

const MAX_OUTPUT_BYTES = 4096
const SIGKILL = 9

export interface FinishedSession {
  /** undefined: it took longer than it may, or could not be waited for, and was killed. */
  readonly exitCode: number | undefined
  /** The first 4 KiB of both streams. */
  readonly output: string
}

/** Lets a program in a container run to its end, but no longer than this, and than until the signal is raised. */
export async function finishSession(
  session: ExecSession,
  timeoutMs: number,
  hurry?: AbortSignal,
): Promise<FinishedSession> {
  let output = ''
  const collect = (bytes: Buffer): void => {
    if (output.length < MAX_OUTPUT_BYTES)
      output += bytes.toString('utf8').slice(0, MAX_OUTPUT_BYTES - output.length)
  }
  session.stdout.on('data', collect)
  session.stderr?.on('data', collect)
  const late = new AbortController()
  const end = (): void => {
    late.abort()
    session.process.signal(SIGKILL)
  }
  const timer = setTimeout(end, Math.min(timeoutMs, LONGEST_TIMER_MS))
  hurry?.addEventListener('abort', end)
  if (hurry?.aborted === true) end()
  const status = await session.process.exited
  clearTimeout(timer)
  hurry?.removeEventListener('abort', end)
  session.stdout.destroy()
  session.stderr?.destroy()
  return { exitCode: late.signal.aborted ? undefined : (status?.exitCode ?? 1), output }
}
