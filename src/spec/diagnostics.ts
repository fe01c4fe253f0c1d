/** Gathers what is wrong and what is suspicious while a stack is loaded, so that a user sees all of it at once. */
import type { FetchFailure } from './fetched.ts'
import type { SpecWarning } from './loaded-stack.ts'
import type { Place } from './node.ts'
import { SpecError, diagnosticAt, diagnosticOfFile } from './spec-error.ts'
import type { Diagnostic, DiagnosticDetails } from './spec-error.ts'

/** More are not told: the first hundred are enough to see what kind of file it is. */
const MAX_DIAGNOSTICS = 100

export interface Diagnostics {
  error(place: Place | undefined, message: string, details?: DiagnosticDetails): void
  /** A file that can't be had for another reason than its text. */
  failure(file: string, failure: FetchFailure): void
  /** Whether more would not be told: then there is no use in looking for more. */
  isFull(): boolean
  warn(place: Place | undefined, message: string): void
  /** @throws {INVALID_ARGUMENT} SpecError with all errors so far, if there are any */
  throwIfAny(): void
  warnings(): readonly SpecWarning[]
}

/** An empty collection. */
export function collectDiagnostics(): Diagnostics {
  const errors: Diagnostic[] = []
  const seen = new Set<string>()
  const warnings = new Map<string, SpecWarning>()
  const add = (diagnostic: Diagnostic): void => {
    const key = JSON.stringify(diagnostic)
    if (seen.has(key)) return
    seen.add(key)
    errors.push(diagnostic)
  }
  return {
    error(place, message, details) {
      if (errors.length < MAX_DIAGNOSTICS) add(diagnosticAt(place, message, details))
    },
    failure(file, failure) {
      if (errors.length < MAX_DIAGNOSTICS) add(diagnosticOfFile(file, failure))
    },
    warn(place, message) {
      if (warnings.has(message) || warnings.size >= MAX_DIAGNOSTICS) return
      const { file, line, column } = diagnosticAt(place, message)
      warnings.set(message, {
        message,
        ...(file === undefined ? {} : { file }),
        ...(line === undefined || column === undefined ? {} : { line, column }),
      })
    },
    isFull: () => errors.length >= MAX_DIAGNOSTICS,
    throwIfAny() {
      if (errors.length > 0) throw new SpecError(errors)
    },
    warnings: () => [...warnings.values()],
  }
}
