/** What the following of sources works with. Built once, in open-gitops.ts. */
import type { GitSourceReason } from '../api/gitops-types.ts'
import type { Context } from '../reconciler/context.ts'
import type { Checkouts } from './checkouts.ts'
import type { FairQueue } from './fair-queue.ts'
import type { SourceNews } from './notify.ts'
import type { ProgressRecord, SourceRecord, SourceRecords } from './source-records.ts'

export interface GitopsEngine {
  readonly context: Context
  readonly records: SourceRecords
  readonly checkouts: Checkouts
  /** Of content-store.ts; absolute. */
  readonly contentRoot: string
  /** For what asks servers and reads commits: a hundred sources do not start a hundred gits. */
  readonly looks: FairQueue
  /** Tells those who want to be told of a source's outcome. */
  readonly tell: (source: SourceRecord, news: SourceNews) => void
}

const NEW: ProgressRecord = {
  ready: 'Unknown',
  reason: 'Progressing',
  message: 'not looked at yet',
  since: '',
  failures: 0,
}

/** How far a source has got. */
export function progressOf({ records }: GitopsEngine, name: string): ProgressRecord {
  return records.progress.get(name) ?? { ...NEW, since: new Date().toISOString() }
}

/** A change of the record; a member that is undefined is taken out. */
export type ProgressChange = {
  readonly [K in keyof ProgressRecord]?: ProgressRecord[K] | undefined
}

/** Writes how far a source has got, and tells of it when its condition has changed. */
export function record(
  engine: GitopsEngine,
  source: SourceRecord,
  change: ProgressChange,
): ProgressRecord {
  const before = progressOf(engine, source.name)
  const merged = { ...before, ...change }
  const isNew =
    before.since === '' ||
    (['ready', 'reason', 'message'] as const).some((key) => merged[key] !== before[key])
  const since = isNew ? new Date().toISOString() : before.since
  const kept = Object.entries({ ...merged, since }).filter(([, value]) => value !== undefined)
  const after = Object.fromEntries(kept) as unknown as ProgressRecord
  // A source that was removed meanwhile leaves nothing.
  if (engine.records.sources.get(source.name) === undefined) return after
  engine.records.progress.put(source.name, after)
  if (isNew) {
    const attributes = { source: source.name, reason: after.reason, message: after.message }
    const { stack } = source
    engine.context.events.emit({
      type: 'stack',
      action: eventOf(after),
      stack,
      id: stack,
      attributes,
    })
    const { ready, reason, message, observedCommit: commit = '' } = after
    engine.tell(source, { ready, reason, message, commit, time: since })
  }
  return after
}

function eventOf({ ready, reason }: ProgressRecord): string {
  return `gitops: ${EVENTS[reason] ?? (ready === 'False' ? 'failed' : 'waiting')}`
}

const EVENTS: Partial<Record<GitSourceReason, string>> = {
  Synced: 'synced',
  Progressing: 'progressing',
  RolledBack: 'rolled back',
}
