/** What builds keep for the next ones: the layers of their steps, and the directories of their cache mounts. */
import type { BuildPruneRequest, BuildPruneResponse } from '../api/build-types.ts'
import type { UsageRow } from '../api/image-types.ts'
import { buildMountSizes, removeBuildMounts } from './build-mounts.ts'
import type { Context } from './context.ts'

let running = 0

/** Counts a build as long as it runs: what its steps have mounted is not removed under them. */
export async function whileBuilding<T>(work: () => Promise<T>): Promise<T> {
  running++
  try {
    return await work()
  } finally {
    running--
  }
}

export async function buildCacheRow(context: Context): Promise<UsageRow> {
  const { builds } = context.images
  const mounts = await buildMountSizes(context)
  const bytes = builds.cacheBytes() + mounts.reduce((total, size) => total + size, 0)
  return {
    type: 'Build Cache',
    total: builds.cachedSteps() + mounts.length,
    active: 0,
    sizeBytes: bytes,
    reclaimableBytes: running > 0 ? builds.cacheBytes() : bytes,
  }
}

/**
 * Forgets the steps that were of use least recently, until no more than `keepBytes` is left, of those that were not of use
 * since `usedBefore`; without either all of them, and the cache mounts, unless a build runs.
 */
export async function pruneBuildCache(
  context: Context,
  { keepBytes = 0, usedBefore }: BuildPruneRequest,
): Promise<BuildPruneResponse> {
  const limits = { maxBytes: keepBytes, usedBefore }
  const { steps, reclaimedBytes } = await context.images.builds.prune(limits)
  const isAll = keepBytes === 0 && usedBefore === undefined && running === 0
  const mounts = isAll ? await removeBuildMounts(context) : 0
  return { steps, reclaimedBytes: reclaimedBytes + mounts }
}
