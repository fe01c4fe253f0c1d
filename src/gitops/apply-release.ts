/** Makes a release what runs: as `up` would, and for a way back with the very images that it had. */
import type { UpRequest } from '../api/types.ts'
import type { GitSource } from '../api/gitops-types.ts'
import type { Context } from '../reconciler/context.ts'
import { containersOf } from '../reconciler/observe.ts'
import { planStack, upStack } from '../reconciler/stack-operations.ts'
import { formatPlan } from '../planner/format-plan.ts'
import { credentialsForStack } from '../sources/registry-credentials.ts'
import type { Stack } from '../spec/stack.ts'
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
  return formatPlan(await planStack(context, await requestOf(release, source)))
}

/** @throws {TsstackError} the first operation that failed; what it had done by then stays */
export async function applyRelease(
  context: Context,
  release: Release,
  source: GitSource,
): Promise<void> {
  await upStack(context, await requestOf(release, source), () => undefined)
}

/**
 * Applies a release that was good before: nothing is pulled, and a name that has come to mean another image does not
 * count. Services that only the failed release has are removed.
 */
export async function restoreRelease(
  context: Context,
  release: Release,
  { source, failed }: { readonly source: GitSource; readonly failed: Release | undefined },
): Promise<void> {
  const stack = await withPinnedImages(context, release)
  const own = new Set(
    [stack, failed?.source.stack].flatMap((each) => Object.keys(each?.services ?? {})),
  )
  const strangers = containersOf(context, stack.name).some(({ config }) => !own.has(config.service))
  const removeOrphans = source.prune || !strangers
  const request = { ...release.source, stack, options: { removeOrphans, pull: 'never' as const } }
  await upStack(context, request, () => undefined)
}

async function withPinnedImages(
  context: Context,
  { source: { stack, workingDir }, imageIds = {} }: Release,
): Promise<Stack> {
  const services = { ...stack.services }
  for (const [name, service] of Object.entries(services)) {
    const id = imageIds[name]
    if (service.image === undefined || id === undefined) continue
    const now = await context.images
      .resolve(service.image, { baseDir: workingDir })
      .catch(() => undefined)
    if (now?.id !== id) services[name] = { ...service, image: id }
  }
  return { ...stack, services }
}

/** The images that the containers of a release have now, by service. */
export function imageIdsOf(
  context: Context,
  { source: { stack } }: Release,
): Record<string, string> {
  return Object.fromEntries(
    containersOf(context, stack.name).map(({ config }) => [config.service, config.image.id]),
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
