/** How a failure is shown: what happened, why, what to do. Never a stack. */
import { toTsstackError } from '../errors.ts'
import type { Style } from './style.ts'

const MAX_CAUSES = 5

function causesOf(error: Error): string[] {
  const causes: string[] = []
  let cause = error.cause
  while (cause instanceof Error && causes.length < MAX_CAUSES) {
    if (cause.message !== '' && !error.message.includes(cause.message)) causes.push(cause.message)
    cause = cause.cause
  }
  return causes
}

/** @returns lines, without a newline at the end */
export function formatError(thrown: unknown, style: Style): string {
  const error = toTsstackError(thrown)
  return [
    `${style.red('error:')} ${error.message}`,
    ...causesOf(error).map((cause) => `${style.dim('cause:')} ${cause}`),
    ...(error.hint === undefined ? [] : [`${style.cyan('hint:')} ${error.hint}`]),
  ].join('\n')
}
