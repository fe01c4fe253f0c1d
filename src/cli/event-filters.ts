/** `events --filter`: which events are shown. Pure. */
import type { EngineEvent } from '../api/types.ts'
import { TsstackError } from '../errors.ts'
import { didYouMean } from './did-you-mean.ts'

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
  const wanted = new Map<string, string[]>()
  for (const text of filters) {
    const [key = '', value] = text.split(/=(.*)/s)
    if (value === undefined || !Object.hasOwn(TESTS, key)) {
      const suggestion = value === undefined ? '' : didYouMean(key, Object.keys(TESTS))
      const hint = `known: ${Object.keys(TESTS).join(', ')}`
      const message = `invalid filter "${text}": expected KEY=VALUE${suggestion}`
      throw new TsstackError('INVALID_ARGUMENT', message, { hint })
    }
    wanted.set(key, [...(wanted.get(key) ?? []), value])
  }
  return (event) =>
    [...wanted].every(([key, values]) => values.some((value) => TESTS[key]?.(event, value)))
}
