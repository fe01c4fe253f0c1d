/** `events --filter`: which events are shown. Pure. */
import type { EngineEvent } from '../api/types.ts'
import { parseFilters } from '../spec/filters.ts'

/** `event=exec_create` is meant by its first word: what follows the colon is the command. */
const TESTS: Readonly<Record<string, (event: EngineEvent, value: string) => boolean>> = {
  event: ({ action }, value) => action === value || action.startsWith(`${value}:`),
  type: ({ type }, value) => type === value,
  service: ({ service }, value) => service === value,
  container: ({ type, id, attributes }, value) =>
    type === 'container' && value !== '' && (id.startsWith(value) || attributes['name'] === value),
}

/**
 * As `docker events`: of one key any value has to fit, of different keys all.
 * @param filters - `KEY=VALUE`
 * @throws {INVALID_ARGUMENT} for what is no such pair, and a key that is not known
 */
export function eventFilter(filters: readonly string[]): (event: EngineEvent) => boolean {
  const wanted = parseFilters(filters, Object.keys(TESTS))
  return (event) =>
    [...wanted].every(([key, values]) => values.some((value) => TESTS[key]?.(event, value)))
}
