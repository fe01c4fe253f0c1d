/** Makes a release what runs: as `up` would, and for a way back with the very images that it had. */
import type { UpRequest } from '../api/types.ts'
import type { GitSource } from '../api/gitops-types.ts'
import { TsstackError, toTsstackError } from '../errors.ts'
import { isDigest, type Digest } from '../engine/images/image.ts'
import type { Context } from '../reconciler/context.ts'
import { containersOf } from '../reconciler/observe.ts'
import { planStack, upStack, type UpControl } from '../reconciler/stack-operations.ts'
import { formatPlan } from '../planner/format-plan.ts'
import { credentialsForStack } from '../sources/registry-credentials.ts'
import { passHealthGate } from './health-gate.ts'
import type { Release } from './source-records.ts'

async function requestOf({ source }: Release, { prune }: GitSource): Promise<UpRequest> {
  const login = await credentialsForStack(process.env, source.stack)
  return { ...source, ...login, options: { removeOrphans: prune } }
}

/** What applying it would do, as `tsstack plan` prints it. */
export async function planRelease(
  context: Context,
  release: Release,
  source: GitSource,
): Promise<string> {
  const { plan } = await planStack(context, await requestOf(release, source))
  return formatPlan(plan)
}

/** Who it was, in the stack's history. */
function authorOf({ name }: GitSource): string {
  return `gitops ${name}`
}

/** Whose it is, and what ends its waits: something newer. What is being made is finished all the same. */
export interface ApplyManner {
  readonly source: GitSource
  readonly until: AbortSignal
}

/**
 * @throws {TsstackError} the first operation that failed; what it had done by then stays {CANCELLED} there is something newer
 */
export async function applyRelease(
  context: Context,
  release: Release,
  manner: ApplyManner,
): Promise<void> {
  await bringUp(context, await requestOf(release, manner.source), manner)
}

/** Jobs that never end, dependencies that never are healthy and hooks are waited for no longer than health itself. */
async function bringUp(
  context: Context,
  request: UpRequest,
  { source, until, pins = {} }: ApplyManner & { readonly pins?: UpControl['pins'] },
): Promise<void> {
  const { healthTimeoutSeconds: seconds } = source
  const patience = { ms: seconds * 1000, until }
  const control: UpControl = { author: authorOf(source), pins, patience }
  try {
    await upStack(context, request, () => undefined, control)
  } catch (error) {
    const { code, message } = toTsstackError(error)
    if (until.aborted) throw new TsstackError('CANCELLED', message, { cause: error })
    if (code !== 'CANCELLED') throw error
    const state = `${message}: ${String(seconds)} s are over`
    throw new TsstackError('FAILED_PRECONDITION', state, {
      cause: error,
      hint: 'Give it longer by --health-timeout',
    })
  }
}

/**
 * Applies a release that was good before: nothing is pulled, and a name that has come to mean another image does not
 * count. Services that only the failed release has are removed.
 */
export async function restoreRelease(
  context: Context,
  release: Release,
  { failed, ...manner }: ApplyManner & { readonly failed: Release | undefined },
): Promise<void> {
  const { stack } = release.source
  const own = new Set(
    [stack, failed?.source.stack].flatMap((each) => Object.keys(each?.services ?? {})),
  )
  const strangers = containersOf(context, stack.name).some(({ config }) => !own.has(config.service))
  const removeOrphans = manner.source.prune || !strangers
  const request = { ...release.source, options: { removeOrphans, pull: 'never' as const } }
  const pins = { services: release.imageIds ?? {} }
  await bringUp(context, request, { ...manner, pins })
}

/** Writes into the stack's history that what had been brought up was not good. */
export function markFailed({ revisions }: Context, stack: string, message: string): void {
  const revision = revisions.latest(stack)
  if (revision !== undefined) revisions.settle(revision, { status: 'failed', message })
}

/** The images that the containers of a release have now, by service. */
export function imageIdsOf(
  context: Context,
  { source: { stack } }: Release,
): Record<string, Digest> {
  return Object.fromEntries(
    containersOf(context, stack.name).flatMap(({ config: { service, image } }) =>
      isDigest(image.id) ? [[service, image.id]] : [],
    ),
  )
}

/**
 * Waits until a release is good.
 * @throws {FAILED_PRECONDITION} why it is not; {CANCELLED} when the signal is raised
 */
export async function waitForRelease(
  context: Context,
  { source: { stack } }: Release,
  { source, signal }: { readonly source: GitSource; readonly signal: AbortSignal },
): Promise<void> {
  await passHealthGate(context, {
    stack: stack.name,
    services: Object.keys(stack.services),
    timeoutMs: source.healthTimeoutSeconds * 1000,
    monitorMs: source.monitorSeconds * 1000,
    signal,
  })
}
