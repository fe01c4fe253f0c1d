/** What the checks of a Dockerfile find: nothing that keeps it from being built. */
import type { Place } from '../dockerfile/place.ts'

export interface Finding {
  /** As BuildKit calls it: `StageNameCasing`. */
  readonly rule: string
  readonly message: string
  readonly place: Place
}

/** `Dockerfile:3:1: UndefinedVar: …` */
export function findingText({ rule, message, place }: Finding): string {
  return `${place.file}:${String(place.line)}:${String(place.column)}: ${rule}: ${message}`
}
