/** The whole: what takes room on the disk, and making room. */
import type { SystemPruneRequest, SystemPruneResponse, UsageRow } from '../api/image-types.ts'
import { directorySize } from '../volumes/directory-size.ts'
import { TsstackError } from '../errors.ts'
import { buildCacheRow, pruneBuildCache } from './build-cache-admin.ts'
import type { Context } from './context.ts'
import { imagesInUse, imagesToKeep } from './images-in-use.ts'
import { pruneNetworks } from './network-admin.ts'
import { removeContainer } from './remove-container.ts'
import { pruneVolumes, usersOfVolume } from './volume-admin.ts'

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

async function containerRow(context: Context): Promise<UsageRow> {
  const records = context.containers.values()
  const sizes = await Promise.all(
    records.map(async ({ id }) => ({
      isLive: context.live.has(id),
      bytes: context.snapshotter.has(id) ? await context.snapshotter.usage(id) : 0,
    })),
  )
  return {
    type: 'Containers',
    total: records.length,
    active: sizes.filter(({ isLive }) => isLive).length,
    sizeBytes: sum(sizes.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(sizes.filter(({ isLive }) => !isLive).map(({ bytes }) => bytes)),
  }
}

async function volumeRow(context: Context): Promise<UsageRow> {
  const volumes = await Promise.all(
    context.volumeRecords.values().map(async ({ name, options }) => ({
      isUsed: usersOfVolume(context, name).length > 0,
      // What lies elsewhere (nfs, bind) takes nothing here.
      bytes: options === undefined ? await directorySize(context.volumes.dataPath(name)) : 0,
    })),
  )
  return {
    type: 'Local Volumes',
    total: volumes.length,
    active: volumes.filter(({ isUsed }) => isUsed).length,
    sizeBytes: sum(volumes.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(volumes.filter(({ isUsed }) => !isUsed).map(({ bytes }) => bytes)),
  }
}

/** Looks at every file of volumes and containers: slow where they are large. */
export async function diskUsage(context: Context): Promise<UsageRow[]> {
  const inUse = imagesInUse(context)
  const usage = context.images.usage(inUse)
  const images = context.images.all()
  const row: UsageRow = {
    type: 'Images',
    total: images.length,
    active: images.filter(({ id }) => inUse.has(id)).length,
    sizeBytes: usage.totalBytes + usage.partialBytes,
    reclaimableBytes: usage.reclaimableBytes + usage.partialBytes,
  }
  return [row, await containerRow(context), await volumeRow(context), await buildCacheRow(context)]
}

/** Containers that have ended and that nobody wants to run. */
async function pruneContainers(
  context: Context,
): Promise<{ readonly removed: string[]; readonly reclaimedBytes: number }> {
  const removed: string[] = []
  let reclaimedBytes = 0
  for (const { id, state, config } of context.containers.values()) {
    if (state !== 'exited' && state !== 'created' && state !== 'dead') continue
    const bytes = context.snapshotter.has(id) ? await context.snapshotter.usage(id) : 0
    try {
      await context.locks.run(id, () => removeContainer(context, id, { volumes: true }))
    } catch (error) {
      // It was started meanwhile.
      if (error instanceof TsstackError && error.code === 'FAILED_PRECONDITION') continue
      throw error
    }
    removed.push(config.name)
    reclaimedBytes += bytes
  }
  return { removed, reclaimedBytes }
}

/** Removes what nothing uses: stopped containers, networks, images, what builds keep, and volumes when asked. */
export async function pruneSystem(
  context: Context,
  { all = false, volumes = false }: SystemPruneRequest,
): Promise<SystemPruneResponse> {
  const containers = await pruneContainers(context)
  const networks = await pruneNetworks(context)
  const lost = volumes ? await pruneVolumes(context, false) : { removed: [], reclaimedBytes: 0 }
  const images = await context.images.prune({ inUse: () => imagesToKeep(context), all })
  const cache = await pruneBuildCache(context, 0)
  return {
    containers: containers.removed,
    networks: networks.removed,
    volumes: lost.removed,
    images,
    reclaimedBytes: sum(
      [containers, lost, images, cache].map(({ reclaimedBytes }) => reclaimedBytes),
    ),
  }
}
