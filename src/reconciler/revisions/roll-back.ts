import type { RollbackRequest } from '../../api/revision-types.ts'
import { TsstackError } from '../../errors.ts'
import type { UpOptions } from '../../planner/desired-state.ts'
import type { Stack } from '../../spec/stack.ts'
import type { UpRequest } from '../../api/types.ts'
import type { Context } from '../context.ts'
import type { ImagePins } from '../desired-state-of.ts'
import type { Progress } from '../run-plan.ts'
import { upStack } from '../stack-operations.ts'
import type { RevisionRecord } from './revision-store.ts'

export interface RollbackTarget {
  readonly stack: string
  readonly request: RollbackRequest
  readonly author: string
  /** Raised when the client has gone. */
  readonly signal?: AbortSignal
}

/**
 * Goes back to an earlier revision: its model, its contents, and its images by their ids, whatever their names mean
 * now. That is a new revision. Data in volumes stays as it is.
 * @throws {FAILED_PRECONDITION} when there is nothing to go back to
 * @throws {NOT_FOUND} when the revision is not kept, or an image of it
 */
export async function rollBack(
  context: Context,
  target: RollbackTarget,
  progress: Progress,
): Promise<void> {
  const { author, signal } = target
  const { up, pins, rollbackOf } = wayBack(context, target)
  await upStack(context, up, progress, { author, signal, pins, rollbackOf })
}

/** The `up` that a rollback is. */
export function wayBack(
  context: Context,
  { stack, request }: Pick<RollbackTarget, 'stack' | 'request'>,
): { readonly up: UpRequest; readonly pins: ImagePins; readonly rollbackOf: number } {
  const { revision: number, dryRun: _, parallel, ...options } = request
  const revision =
    number === undefined ? lastGoodOf(context, stack) : context.revisions.get(stack, number)
  const source = context.revisions.sourceOf(revision)
  return {
    up: {
      ...source,
      ...(parallel === undefined ? {} : { parallel }),
      options: { ...servicesOf(revision, source.stack), removeOrphans: true, ...options },
    },
    pins: { services: revision.imageDigests, mounted: revision.mountedImageDigests },
    rollbackOf: revision.number,
  }
}

/** What had never been brought up is not brought up by going back. */
function servicesOf(
  { imageDigests }: RevisionRecord,
  { services }: Stack,
): Pick<UpOptions, 'services' | 'noDeps'> {
  const names = Object.keys(services).filter((name) => Object.hasOwn(imageDigests, name))
  return names.length === Object.keys(services).length ? {} : { services: names, noDeps: true }
}

function lastGoodOf(context: Context, stack: string): RevisionRecord {
  const current = context.revisions.latest(stack)
  const good = context.revisions.lastGood(stack, current?.number)
  if (good !== undefined) return good
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot roll back stack "${stack}": no revision before the current one has succeeded`,
    { hint: `tsstack -p ${stack} history` },
  )
}
