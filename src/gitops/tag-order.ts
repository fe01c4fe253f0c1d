/** Which of two tags is the newer one, by the policy of an image; as in Flux's ImagePolicy, whose words are used. Pure. */
import { compareBuild, satisfies, valid, validRange } from 'semver'
import type { ImagePolicy } from '../spec/stack.ts'

/** Says what a tag is worth; undefined: it is none that counts. */
interface Order<T> {
  readonly read: (key: string) => T | undefined
  /** Above 0: the first one is newer. */
  readonly compare: (one: T, other: T) => number
}

/** A tag, and what of it is compared. */
export interface CandidateTag {
  readonly tag: string
  readonly key: string
}

/** Longer ones are no version that anybody wrote. */
const MAX_RANGE = 256
const NUMBER = /^(\d{1,40})(?:\.(\d{1,20}))?$/

/** What is wrong with the range of a policy; undefined when nothing is. */
export function rangeProblem({ semver }: ImagePolicy): string | undefined {
  if (semver === undefined) return undefined
  const isRange = semver.length <= MAX_RANGE && validRange(semver) !== null
  return isRange ? undefined : `"${semver.slice(0, MAX_RANGE)}" is no range of versions`
}

/** The newest of the tags; undefined when none counts, or the policy has no order. */
export function newestTag(
  policy: ImagePolicy,
  tags: readonly CandidateTag[],
): CandidateTag | undefined {
  return inOrder(policy, (order) => {
    const read = tags.flatMap((candidate) => {
      const worth = order.read(candidate.key)
      return worth === undefined ? [] : [{ candidate, worth }]
    })
    // Of two that are worth the same, the one that comes later by name: always the same one.
    const sorted = read.sort(
      (a, b) => order.compare(a.worth, b.worth) || byCodeUnits(a.candidate.tag, b.candidate.tag),
    )
    return sorted.at(-1)?.candidate
  })
}

/** Whether the first tag is newer than the second; also when the second is none that counts. */
export function isNewerTag(policy: ImagePolicy, one: string, other: string): boolean {
  return (
    inOrder(policy, (order) => {
      const [first, second] = [order.read(one), order.read(other)]
      if (first === undefined) return false
      return second === undefined || order.compare(first, second) > 0
    }) ?? false
  )
}

function inOrder<R>(
  policy: ImagePolicy,
  use: <T>(order: Order<T>) => R | undefined,
): R | undefined {
  const { semver, numerical, alphabetical } = policy
  if (semver !== undefined) return use(versionsWithin(semver))
  if (numerical !== undefined) return use(turned(numbers, numerical))
  if (alphabetical !== undefined) return use(turned(names, alphabetical))
  return undefined
}

/** A `v` may stand before a version; parts may not be left out. */
function versionsWithin(range: string): Order<string> {
  return {
    read: (key) => {
      const version = valid(key)
      return version !== null && satisfies(version, range) ? key : undefined
    },
    compare: compareBuild,
  }
}

interface Decimal {
  readonly whole: bigint
  readonly fraction: string
}

const numbers: Order<Decimal> = {
  read: (key) => {
    const [, whole, fraction = ''] = NUMBER.exec(key) ?? []
    return whole === undefined ? undefined : { whole: BigInt(whole), fraction }
  },
  compare: (one, other) => {
    if (one.whole !== other.whole) return one.whole > other.whole ? 1 : -1
    return byCodeUnits(one.fraction.replace(/0+$/, ''), other.fraction.replace(/0+$/, ''))
  },
}

const names: Order<string> = { read: (key) => key, compare: byCodeUnits }

function turned<T>(order: Order<T>, direction: 'asc' | 'desc'): Order<T> {
  return direction === 'asc'
    ? order
    : { ...order, compare: (one, other) => order.compare(other, one) }
}

function byCodeUnits(one: string, other: string): number {
  if (one === other) return 0
  return one > other ? 1 : -1
}
