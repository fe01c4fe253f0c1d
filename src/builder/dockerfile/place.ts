/** Where in a Dockerfile something stands, and errors that say it. */
import { TsstackError } from '../../errors.ts'

export interface Place {
  /** As the user knows it. */
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1, in UTF-16 units. */
  readonly column: number
}

/** An error of the Dockerfile: `Dockerfile:3:1: …`. */
export function dockerfileError(
  { file, line, column }: Place,
  message: string,
  hint?: string,
): TsstackError {
  const options = hint === undefined ? {} : { hint }
  const text = `${file}:${String(line)}:${String(column)}: ${message}`
  return new TsstackError('INVALID_ARGUMENT', text, options)
}
