/** The history of a stack as its users see it. */
import type { Revision, RevisionDiff } from '../../api/revision-types.ts'
import { modelChanges } from '../../planner/model-changes.ts'
import type { Context } from '../context.ts'
import type { RevisionRecord } from './revision-store.ts'

/** Newest first. */
export function listRevisions(context: Context, stack: string): Revision[] {
  const current = context.stacks.get(stack) && context.revisions.latest(stack)?.number
  return context.revisions.list(stack).map((record) => toRevision(record, current))
}

function toRevision(record: RevisionRecord, current: number | undefined): Revision {
  const { mountedImageDigests, contentDigests, options, ...shown } = record
  return { ...shown, current: record.number === current }
}

/**
 * @param range without `to` the newest one; without `from` the one before `to`
 * @throws {NOT_FOUND} for a revision that is not kept
 */
export function diffRevisions(
  context: Context,
  stack: string,
  range: { readonly from?: number | undefined; readonly to?: number | undefined },
): RevisionDiff {
  const { revisions } = context
  const newest = revisions.latest(stack)?.number ?? 1
  const to = revisions.get(stack, range.to ?? newest)
  const from = revisions.get(stack, range.from ?? to.number - 1)
  const changes = modelChanges(revisions.desiredOf(from), revisions.desiredOf(to))
  return { from: from.number, to: to.number, changes }
}
