/** What people did by hand to a stack: services stopped or scaled, the loop suspended. The loop keeps to it, and shows it. */
import type { ByHand, Override, Suspension } from '../../api/status-types.ts'
import type { Collection } from '../../state/state-store.ts'

/** Key: the stack's name. There is none for a stack that is as declared. */
export interface InterventionRecord {
  readonly suspended?: Suspension
  readonly services: Readonly<Record<string, Override>>
}

type Interventions = Collection<InterventionRecord>

const NONE: InterventionRecord = { services: {} }

export function interventionsOf(all: Interventions, stack: string): InterventionRecord {
  return all.get(stack) ?? NONE
}

/** Overrides of services, in place of those that they had; undefined takes one away. */
export function setOverrides(
  all: Interventions,
  stack: string,
  changes: Readonly<Record<string, Override | undefined>>,
): void {
  const before = interventionsOf(all, stack)
  const services = Object.entries({ ...before.services, ...changes }).filter(
    (entry): entry is [string, Override] => entry[1] !== undefined,
  )
  put(all, stack, { ...before, services: Object.fromEntries(services) })
}

export function suspend(all: Interventions, stack: string, suspension: Suspension): void {
  put(all, stack, { ...interventionsOf(all, stack), suspended: suspension })
}

export function resume(all: Interventions, stack: string): void {
  const { services } = interventionsOf(all, stack)
  put(all, stack, { services })
}

export function hasEnded({ until }: { readonly until?: string }, nowMs: number): boolean {
  return until !== undefined && Date.parse(until) <= nowMs
}

/**
 * When the first of them ends that had not ended at a time; undefined when none does by itself. Milliseconds since 1970.
 */
export function firstEndAfter(
  { suspended, services }: InterventionRecord,
  timeMs: number,
): number | undefined {
  const ends = [suspended, ...Object.values(services)]
    .flatMap((intervention) => intervention?.until ?? [])
    .map((until) => Date.parse(until))
    .filter((endMs) => endMs > timeMs)
  return ends.length === 0 ? undefined : Math.min(...ends)
}

/** An override that begins now. */
export function overrideBy(
  author: string,
  what: Pick<Override, 'kind' | 'replicas'>,
  manner: ByHand,
): Override {
  return { ...what, author, ...lasting(manner) }
}

/** A stop that begins now. The number of replicas that was asked for goes on, unless that was for a time only. */
export function stopBy(author: string, before: Override | undefined, manner: ByHand): Override {
  const isTimed = before?.kind === 'scaled' && before.until !== undefined
  const replicas = isTimed ? undefined : before?.replicas
  const what = { kind: 'stopped', ...(replicas === undefined ? {} : { replicas }) } as const
  return overrideBy(author, what, manner)
}

/** What is left of an override when a stop is over: without it the service would have as many replicas as its file says. */
export function withoutStop(override: Override | undefined): Override | undefined {
  if (override?.kind !== 'stopped') return override
  const { replicas, author } = override
  return replicas === undefined ? undefined : overrideBy(author, { kind: 'scaled', replicas }, {})
}

/** From now on, for so many seconds. */
export function lasting({ forSeconds, reason }: ByHand): Omit<Suspension, 'author'> {
  const now = Date.now()
  return {
    since: new Date(now).toISOString(),
    ...(forSeconds === undefined ? {} : { until: new Date(now + forSeconds * 1000).toISOString() }),
    ...(reason === undefined || reason === '' ? {} : { reason }),
  }
}

function put(all: Interventions, stack: string, record: InterventionRecord): void {
  const isEmpty = record.suspended === undefined && Object.keys(record.services).length === 0
  if (isEmpty) all.delete(stack)
  else all.put(stack, record)
}
