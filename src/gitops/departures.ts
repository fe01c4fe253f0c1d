/** What was done to a followed stack behind the back of its source. */
import type { GitSource } from '../api/gitops-types.ts'
import type { Context } from '../reconciler/context.ts'
import { containersOf } from '../reconciler/observe.ts'
import type { Release } from './source-records.ts'

/**
 * Whether something else is wanted by now than the release that was applied: the stack was taken down, another revision
 * was brought up, or there is what the source prunes. Services that are stopped by hand are no departure.
 */
export function hasDeparted(
  context: Context,
  { source: { stack }, revision }: Release,
  { prune }: GitSource,
): boolean {
  const scope = context.stacks.get(stack.name)?.scope ?? []
  if (scope.length === 0 && Object.keys(stack.services).length > 0) return true
  if (revision !== undefined && context.revisions.latest(stack.name)?.number !== revision)
    return true
  return (
    prune &&
    containersOf(context, stack.name).some(
      ({ config }) => !config.oneoff && !Object.hasOwn(stack.services, config.service),
    )
  )
}

/** The number to remember with a release that has just been applied. */
export function revisionNow(
  { revisions }: Context,
  { source: { stack } }: Release,
): Pick<Release, 'revision'> {
  const latest = revisions.latest(stack.name)
  return latest === undefined ? {} : { revision: latest.number }
}
