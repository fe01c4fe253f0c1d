/** How a failure is shown: what happened, why, what to do. Never a stack. */
import { readFileSync } from 'node:fs'
import { toTsstackError, TsstackError } from '../errors.ts'
import type { Style } from './style.ts'

const MAX_CAUSES = 5

function causesOf(error: Error): string[] {
  const causes: string[] = []
  let { cause } = error
  // Bounded by depth: causes may form a ring.
  for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error; depth += 1) {
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

/** As Docker Compose has it for `--progress json`, and what to do. */
export function errorLine(thrown: unknown): string {
  const { message, hint } = toTsstackError(thrown)
  return JSON.stringify({ error: true, message, ...(hint === undefined ? {} : { hint }) })
}

const MAX_SOURCE_BYTES = 16 << 20

function readSource(file: string): string | undefined {
  try {
    const bytes = readFileSync(file)
    return bytes.length > MAX_SOURCE_BYTES ? undefined : bytes.toString()
  } catch {
    return undefined
  }
}

/** As `formatError`; errors of a stack file with place, source line and caret. */
export async function explainError(thrown: unknown, style: Style): Promise<string> {
  if (!(thrown instanceof TsstackError) || !('diagnostics' in thrown))
    return formatError(thrown, style)
  const { SpecError, formatDiagnostics } = await import('../spec/spec-error.ts')
  if (!(thrown instanceof SpecError)) return formatError(thrown, style)
  return thrown.diagnostics
    .map((one) => `${style.red('error:')} ${formatDiagnostics(new SpecError([one]), readSource)}`)
    .join('\n\n')
}
