/** Gathers what is wrong and what is suspicious while a stack is loaded, so that a user sees all of it at once. */
import type { SpecWarning } from './loaded-stack.ts'
import type { Place } from './node.ts'
import { positionOf } from './source.ts'
import { SpecError, diagnosticAt } from './spec-error.ts'
import type { Diagnostic, DiagnosticDetails } from './spec-error.ts'

/** More are not told: the first hundred are enough to see what kind of file it is. */
const MAX_DIAGNOSTICS = 100

export interface Diagnostics {
  error(place: Place | undefined, message: string, details?: DiagnosticDetails): void
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
  return {
    error(place, message, details) {
      if (errors.length >= MAX_DIAGNOSTICS) return
      const diagnostic = diagnosticAt(place, message, details)
      const key = JSON.stringify(diagnostic)
      if (seen.has(key)) return
      seen.add(key)
      errors.push(diagnostic)
    },
    warn(place, message) {
      if (warnings.has(message) || warnings.size >= MAX_DIAGNOSTICS) return
      const where =
        place === undefined
          ? {}
          : { file: place.source.file, ...positionOf(place.source, place.offset) }
      warnings.set(message, { message, ...where })
    },
    throwIfAny() {
      if (errors.length > 0) throw new SpecError(errors)
    },
    warnings: () => [...warnings.values()],
  }
}
