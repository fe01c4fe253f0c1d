/** `--filter KEY=VALUE`, as Docker's commands take it. Pure. */
import { TsstackError } from '../errors.ts'
import { parseMoment } from './moment.ts'

/**
 * The values by key.
 * @param known - the keys that may be used
 * @throws {INVALID_ARGUMENT} for what is no such pair, and a key that is not known
 */
export function parseFilters(
  filters: readonly string[],
  known: readonly string[],
): ReadonlyMap<string, readonly string[]> {
  const byKey = new Map<string, string[]>()
  for (const text of filters) {
    const { key, value } = /^(?<key>[\w!-]+)=(?<value>.*)$/s.exec(text)?.groups ?? {}
    if (key === undefined || value === undefined || !known.includes(key)) {
      throw new TsstackError('INVALID_ARGUMENT', `invalid filter "${text}": expected KEY=VALUE`, {
        hint: `known: ${known.join(', ')}`,
      })
    }
    byKey.set(key, [...(byKey.get(key) ?? []), value])
  }
  return byKey
}

/** @param filter - `KEY`, or `KEY=VALUE` */
export function hasLabel(labels: Readonly<Record<string, string>>, filter: string): boolean {
  const [key = '', value] = filter.split(/=(.*)/s)
  return Object.hasOwn(labels, key) && (value === undefined || labels[key] === value)
}

/** @returns milliseconds since 1970 @throws {INVALID_ARGUMENT} */
export function filterMoment(text: string, nowMs: number): number {
  const moment = parseMoment(text, nowMs)
  if (!Number.isNaN(moment)) return moment
  throw new TsstackError('INVALID_ARGUMENT', `invalid filter "until=${text}": not a time`, {
    hint: 'Use RFC 3339, or a duration such as 10m: so long ago',
  })
}
