/** What is wrong with stack files, for machines: `config -q --format json`. */
import { toTsstackError } from '../errors.ts'
import type { LoadedStack } from '../spec/loaded-stack.ts'
import { SpecError } from '../spec/spec-error.ts'
import type { Diagnostic } from '../spec/spec-error.ts'

/** A `Diagnostic` as it is printed: lines and columns from 1; `origin` is how its file came in, innermost first. */
interface ReportedDiagnostic extends Diagnostic {
  readonly severity: 'error' | 'warning'
}

export interface CheckReport {
  /** One line of JSON: `{ "diagnostics": [ … ] }`. */
  readonly text: string
  readonly exitCode: number
}

/** Runs a loading and reports its errors, or else its warnings. */
export async function reportCheck(load: () => Promise<LoadedStack>): Promise<CheckReport> {
  try {
    const { warnings } = await load()
    return report(
      warnings.map((warning) => ({ severity: 'warning', ...warning })),
      0,
    )
  } catch (error) {
    return report(diagnosticsOf(error), toTsstackError(error).exitCode)
  }
}

function report(diagnostics: readonly ReportedDiagnostic[], exitCode: number): CheckReport {
  return { text: `${JSON.stringify({ diagnostics })}\n`, exitCode }
}

function diagnosticsOf(thrown: unknown): ReportedDiagnostic[] {
  if (thrown instanceof SpecError)
    return thrown.diagnostics.map((one) => ({ severity: 'error', ...one }))
  const { message, hint } = toTsstackError(thrown)
  return [{ severity: 'error', message, ...(hint === undefined ? {} : { suggestion: hint }) }]
}
