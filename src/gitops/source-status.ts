/** A source as it is shown: what was declared, without its secrets, and how far it has got. */
import type { GitSourceStatus, ImageUpdateStatus, RevisionSummary } from '../api/gitops-types.ts'
import { withoutLogin } from '../spec/without-login.ts'
import { progressOf, type GitopsEngine } from './engine.ts'
import type { ProgressRecord, Release, SourceRecord } from './source-records.ts'

export function statusOf(
  engine: GitopsEngine,
  source: SourceRecord,
  nextAt: Date | undefined,
): GitSourceStatus {
  const progress = progressOf(engine, source.name)
  const { name, path, stack, intervalSeconds, suspended, prune, approve, dependsOn } = source
  const { windows, freezes, allow } = source
  const { message, since, observedCommit, observedAt, applied, lastGood, held, pending } = progress
  return {
    ...{ name, path, stack, intervalSeconds, suspended, prune, approve, dependsOn },
    ...{ windows, freezes, allow },
    repo: withoutLogin(source.repo),
    verified: source.verifyKeys.length > 0,
    webhook: source.webhookSecret !== undefined,
    ready: progress.ready,
    reason: suspended ? 'Suspended' : progress.reason,
    ...{ message, since },
    ...present({
      ref: source.ref,
      observedCommit,
      observedAt,
      applied: applied && summaryOf(applied),
      lastGood: lastGood && summaryOf(lastGood),
      held,
      pending,
      imageUpdates: source.imageUpdates && imageStatusOf(progress),
      nextSyncAt: suspended ? undefined : nextAt?.toISOString(),
    }),
  }
}

function imageStatusOf({ imageUpdates }: ProgressRecord): ImageUpdateStatus {
  const { written: _, ...status } = imageUpdates ?? { images: [] }
  return status
}

function summaryOf({ commit, digest, subject, author, at }: Release): RevisionSummary {
  return { commit, digest, subject, author, at }
}

/** Without the members that are undefined. */
function present<T extends object>(
  members: T,
): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  const given = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as { readonly [K in keyof T]?: Exclude<T[K], undefined> }
}
