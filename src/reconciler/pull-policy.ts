/** When an image is to be pulled (Compose specification, `pull_policy` and `pull_refresh_after`). */
import { TsstackError } from '../errors.ts'
import { tryParseDurationNs } from '../spec/duration.ts'
import type { Service } from '../spec/stack.ts'

export type PullPolicy =
  | { readonly kind: 'always' | 'missing' | 'never' | 'build' }
  /** Again when the last look at the registry is older. */
  | { readonly kind: 'refresh'; readonly afterMs: number }

const DAY_MS = 24 * 3_600_000

function periodMs(text: string, word: string): number {
  const nanos = tryParseDurationNs(text)
  if (nanos !== undefined) return nanos / 1e6
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot read pull policy "${word}": "${text}" is not a duration`,
    {
      hint: 'Write numbers with units, such as 12h or 1w2d',
    },
  )
}

/** Of a word. @throws {INVALID_ARGUMENT} no such policy */
export function parsePullPolicy(word: string, refreshAfter?: string): PullPolicy {
  if (word === 'always' || word === 'missing' || word === 'never' || word === 'build')
    return { kind: word }
  if (word === 'if_not_present') return { kind: 'missing' }
  if (word === 'daily') return { kind: 'refresh', afterMs: DAY_MS }
  if (word === 'weekly') return { kind: 'refresh', afterMs: 7 * DAY_MS }
  if (word === 'refresh') return { kind: 'refresh', afterMs: periodMs(refreshAfter ?? '1d', word) }
  if (word.startsWith('every_'))
    return { kind: 'refresh', afterMs: periodMs(word.slice('every_'.length), word) }
  throw new TsstackError('INVALID_ARGUMENT', `Cannot use pull policy "${word}": there is none`, {
    hint: 'One of always, missing, never, build, daily, weekly, every_<duration>',
  })
}

/** Of a service; undefined where it says nothing. */
export function pullPolicyOf(service: Service): PullPolicy | undefined {
  const { pull_policy: word, pull_refresh_after: after } = service as Service & {
    readonly pull_refresh_after?: string
  }
  if (word !== undefined) return parsePullPolicy(word, after)
  return after === undefined ? undefined : parsePullPolicy('refresh', after)
}

/**
 * Whether to pull now.
 * @param checkedAtMs - when the registry was last asked, undefined if never
 */
export function isPullDue(
  policy: PullPolicy,
  {
    isHere,
    checkedAtMs,
    nowMs,
  }: {
    readonly isHere: boolean
    readonly checkedAtMs: number | undefined
    readonly nowMs: number
  },
): boolean {
  switch (policy.kind) {
    case 'always':
      return true
    case 'never':
      return false
    case 'missing':
    case 'build':
      return !isHere
    case 'refresh':
      return !isHere || checkedAtMs === undefined || nowMs - checkedAtMs > policy.afterMs
  }
}
