/**
 * From a release to what comes of it: applied and good, held and rolled back, or overtaken by a newer one. Each step is
 * written down before it is done (source-records.ts), and may be done again.
 */
import type { GitSourceReason } from '../api/gitops-types.ts'
import { toTsstackError, type TsstackError } from '../errors.ts'
import { log } from '../log.ts'
import {
  applyRelease,
  imageIdsOf,
  markFailed,
  restoreRelease,
  waitForRelease,
} from './apply-release.ts'
import { revisionNow } from './departures.ts'
import { progressOf, record, type GitopsEngine } from './engine.ts'
import type { Release, SourceRecord } from './source-records.ts'

/** Of what may pass by itself: a registry that does not answer. */
const MAX_ATTEMPTS = 5

export interface Settling {
  readonly source: SourceRecord
  /** Raised when the repository has something newer than this commit; waits end, applying does not. */
  readonly untilNews: (commit: string) => {
    readonly signal: AbortSignal
    readonly stop: () => void
  }
}

/** Applies a release and waits for it. Throws nothing: what became of it is in the record. */
export async function settleRelease(
  engine: GitopsEngine,
  release: Release,
  settling: Settling,
): Promise<void> {
  const { source } = settling
  const short = release.commit.slice(0, 12)
  record(engine, source, {
    applying: release,
    applied: release,
    pending: undefined,
    ready: 'Unknown',
    reason: 'Progressing',
    message: `applying ${short}`,
  })
  const failure = await attempt(engine, release, settling)
  if (failure === undefined) {
    const { context } = engine
    const good = {
      ...release,
      imageIds: imageIdsOf(context, release),
      ...revisionNow(context, release),
    }
    record(engine, source, {
      applying: undefined,
      applied: good,
      lastGood: good,
      held: undefined,
      approvedDigest: undefined,
      failures: 0,
      ready: 'True',
      reason: 'Synced',
      message: `applied ${short}`,
    })
  } else if (failure.error.code === 'CANCELLED') {
    // The next pass goes on with it, unless what is newer asks for something else.
    record(engine, source, { message: `${short} was overtaken` })
  } else await fail(engine, release, { ...settling, ...failure })
}

interface Failure {
  readonly reason: GitSourceReason
  readonly error: TsstackError
}

async function attempt(
  engine: GitopsEngine,
  release: Release,
  { source, untilNews }: Settling,
): Promise<Failure | undefined> {
  const news = untilNews(release.commit)
  const manner = { source, until: news.signal }
  try {
    await applyRelease(engine.context, release, manner)
  } catch (error) {
    news.stop()
    return { reason: 'ApplyFailed', error: toTsstackError(error) }
  }
  try {
    await waitForRelease(engine.context, release, { source, signal: news.signal })
    return undefined
  } catch (error) {
    return { reason: 'HealthCheckFailed', error: toTsstackError(error) }
  } finally {
    news.stop()
  }
}

async function fail(
  engine: GitopsEngine,
  release: Release,
  { source, reason, error, untilNews }: Settling & Failure,
): Promise<void> {
  const { failures, lastGood } = progressOf(engine, source.name)
  const { message } = error
  log.warn('revision failed', { source: source.name, commit: release.commit, error })
  const condition = { ready: 'False', reason, message } as const
  if (error.code === 'UNAVAILABLE' && failures + 1 < MAX_ATTEMPTS) {
    // Not what was wanted, but on its way: the next pass begins with it.
    record(engine, source, { ...condition, failures: failures + 1 })
    return
  }
  markFailed(engine.context, source.stack, message)
  const { commit, digest, subject, author, at } = release
  const hasWayBack = lastGood !== undefined && lastGood.digest !== digest
  record(engine, source, {
    ...condition,
    applying: undefined,
    approvedDigest: undefined,
    failures: 0,
    held: { commit, digest, subject, author, at, reason, message },
    rollingBack: hasWayBack ? true : undefined,
  })
  if (hasWayBack) await rollBack(engine, { source, untilNews })
}

/** Goes back to the last good release. Throws nothing. */
export async function rollBack(
  engine: GitopsEngine,
  { source, untilNews }: Settling,
): Promise<void> {
  const { lastGood, applied, held } = progressOf(engine, source.name)
  if (lastGood === undefined) {
    record(engine, source, { rollingBack: undefined })
    return
  }
  const bad = held?.commit.slice(0, 12) ?? ''
  const news = untilNews(held?.commit ?? lastGood.commit)
  try {
    await restoreRelease(engine.context, lastGood, {
      source,
      failed: applied,
      until: news.signal,
    })
    await waitForRelease(engine.context, lastGood, { source, signal: news.signal })
    record(engine, source, {
      rollingBack: undefined,
      applied: { ...lastGood, ...revisionNow(engine.context, lastGood) },
      ready: 'False',
      reason: 'RolledBack',
      message: `back at ${lastGood.commit.slice(0, 12)}: ${bad}: ${held?.message ?? ''}`,
    })
  } catch (error) {
    const { code, message } = toTsstackError(error)
    const applied = { rollingBack: undefined, applied: lastGood }
    if (code === 'CANCELLED') record(engine, source, applied)
    else
      record(engine, source, {
        ...applied,
        ready: 'False',
        reason: 'RollbackFailed',
        message: `${bad}: ${held?.message ?? ''}; then: ${message}`,
      })
  } finally {
    news.stop()
  }
}
