/** `ps --filter` and `--status`: which containers are shown. Pure. */
import type { ContainerSummary } from '../api/types.ts'
import { TsstackError } from '../errors.ts'
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

/** `KEY` or `KEY=VALUE`. */
function labelTest(text: string): Test {
  const [key = '', value] = text.split(/=(.*)/s)
  return ({ labels }) =>
    Object.hasOwn(labels, key) && (value === undefined || labels[key] === value)
}

const FILTERS: Readonly<Record<string, (value: string) => Test>> = {
  status: statusTest,
  health: (value) => (container) => container.health === value,
  label: labelTest,
  name: (value) => (container) => container.name.includes(value),
}

/** @throws {INVALID_ARGUMENT} for what is no `KEY=VALUE`, and a key that is not known */
function parseFilter(text: string): readonly [key: string, test: Test] {
  const [key = '', value] = text.split(/=(.*)/s)
  if (value === undefined)
    throw new TsstackError('INVALID_ARGUMENT', 'arguments to --filter should be in form KEY=VAL')
  const make = Object.hasOwn(FILTERS, key) ? FILTERS[key] : undefined
  if (make === undefined)
    throw new TsstackError('INVALID_ARGUMENT', `unknown filter ${key}`, {
      hint: `known filters: ${Object.keys(FILTERS).join(', ')}`,
    })
  return [key, make(value)]
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
  const add = (key: string, test: Test): void => {
    byKey.set(key, [...(byKey.get(key) ?? []), test])
  }
  for (const state of states) add('status', statusTest(state))
  for (const filter of filters) add(...parseFilter(filter))
  return {
    byState: byKey.has('status'),
    matches: (container) =>
      [...byKey.values()].every((tests) => tests.some((test) => test(container))),
  }
}
