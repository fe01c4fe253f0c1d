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
      if (errors.length > 0) throw new SpecError(inReadingOrder(errors))
    },
    warnings: () => [...warnings.values()],
  }
}

/** File by file, in the order in which they came up, and there from top to bottom. */
function inReadingOrder(errors: readonly Diagnostic[]): Diagnostic[] {
  const files = [...new Set(errors.map(({ file }) => file))]
  const rank = new Map(files.map((file, index) => [file, index]))
  const key = ({ file, line = 0, column = 0 }: Diagnostic): readonly number[] => [
    rank.get(file) ?? 0,
    line,
    column,
  ]
  return errors.toSorted((a, b) => {
    const [one, other] = [key(a), key(b)]
    const at = one.findIndex((part, index) => part !== other[index])
    return at === -1 ? 0 : (one[at] ?? 0) - (other[at] ?? 0)
  })
}
