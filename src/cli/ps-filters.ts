/** `ps --filter` and `--status`: which containers are shown. Pure. */
import type { ContainerSummary } from '../api/types.ts'
import { TsstackError } from '../errors.ts'
import { hasLabel, parseFilters } from '../spec/filters.ts'
import { didYouMean } from './did-you-mean.ts'

type Test = (container: ContainerSummary) => boolean

/** The states that people may ask for; Docker knows two that ours never have. */
export const STATES = [
  'paused',
  'restarting',
  'removing',
  'running',
  'dead',
  'created',
  'exited',
] as const

function statusTest(state: string): Test {
  if (!(STATES as readonly string[]).includes(state)) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `unknown status "${state}"${didYouMean(state, STATES)}`,
      { hint: `known: ${STATES.join(', ')}` },
    )
  }
  return (container) => container.state === state
}

const FILTERS: Readonly<Record<string, (value: string) => Test>> = {
  status: statusTest,
  health: (value) => (container) => container.health === value,
  label:
    (value) =>
    ({ labels }) =>
      hasLabel(labels, value),
  name: (value) => (container) => container.name.includes(value),
}

export interface PsFilter {
  /** Whether a state was asked for: stopped containers are looked at too. */
  readonly byState: boolean
  readonly matches: Test
}

/**
 * Filters of one key are alternatives, filters of several keys must all fit, as Docker has it.
 * @throws {INVALID_ARGUMENT}
 */
export function parsePsFilters(filters: readonly string[], states: readonly string[]): PsFilter {
  const byKey = new Map<string, Test[]>()
  for (const [key, values] of parseFilters(filters, Object.keys(FILTERS)))
    byKey.set(
      key,
      values.flatMap((value) => FILTERS[key]?.(value) ?? []),
    )
  if (states.length > 0)
    byKey.set('status', [...(byKey.get('status') ?? []), ...states.map(statusTest)])
  return {
    byState: byKey.has('status'),
    matches: (container) =>
      [...byKey.values()].every((tests) => tests.some((test) => test(container))),
  }
}
