/** `prune --filter`: which of the unused things go. Pure. */
import { filterMoment, hasLabel, parseFilters } from '../spec/filters.ts'

interface Prunable {
  /** RFC 3339; absent: it is not known. */
  readonly createdAt?: string
  readonly labels: Readonly<Record<string, string>>
}

export type PruneFilter = (thing: Prunable) => boolean

/**
 * All must fit: `until=TIME` (made before it), `label=KEY[=VALUE]`, `label!=KEY[=VALUE]`.
 * @throws {INVALID_ARGUMENT}
 */
export function pruneFilter(filters: readonly string[], nowMs = Date.now()): PruneFilter {
  const wanted = parseFilters(filters, ['until', 'label', 'label!'])
  const values = (key: string): readonly string[] => wanted.get(key) ?? []
  const until = values('until').map((text) => filterMoment(text, nowMs))
  return ({ createdAt, labels }) =>
    until.every((time) => createdAt !== undefined && Date.parse(createdAt) < time) &&
    values('label').every((label) => hasLabel(labels, label)) &&
    values('label!').every((label) => !hasLabel(labels, label))
}
