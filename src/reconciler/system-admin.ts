/** The whole: what takes room on the disk, and making room. */
import type {
  SystemPruneRequest,
  SystemPruneResponse,
  UsageDetails,
  UsageRow,
} from '../api/image-types.ts'
import { directorySize } from '../volumes/directory-size.ts'
import { TsstackError } from '../errors.ts'
import { buildCacheRow, pruneBuildCache } from './build-cache-admin.ts'
import type { Context } from './context.ts'
import { listImages, pruneImages } from './image-admin.ts'
import { imagesInUse } from './images-in-use.ts'
import { pruneNetworks } from './network-admin.ts'
import { pruneFilter, type PruneFilter } from './prune-filter.ts'
import type { ContainerRecord } from './records.ts'
import { removeContainer } from './remove-container.ts'
import { pruneVolumes, usersOfVolume } from './volume-admin.ts'

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

interface ContainerUsage {
  readonly record: ContainerRecord
  readonly bytes: number
}

function containerUsage(context: Context): Promise<ContainerUsage[]> {
  return Promise.all(
    context.containers.values().map(async (record) => ({
      record,
      bytes: context.snapshotter.has(record.id) ? await context.snapshotter.usage(record.id) : 0,
    })),
  )
}

async function containerRow(context: Context): Promise<UsageRow> {
  const used = await containerUsage(context)
  const isLive = ({ record }: ContainerUsage): boolean => context.live.has(record.id)
  return {
    type: 'Containers',
    total: used.length,
    active: used.filter(isLive).length,
    sizeBytes: sum(used.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(used.filter((one) => !isLive(one)).map(({ bytes }) => bytes)),
  }
}

interface VolumeUsage {
  readonly name: string
  readonly links: number
  readonly bytes: number
}

function volumeUsage(context: Context): Promise<VolumeUsage[]> {
  return Promise.all(
    context.volumeRecords.values().map(async ({ name, options }) => ({
      name,
      links: usersOfVolume(context, name).length,
      // What lies elsewhere (nfs, bind) takes nothing here.
      bytes: options === undefined ? await directorySize(context.volumes.dataPath(name)) : 0,
    })),
  )
}

async function volumeRow(context: Context): Promise<UsageRow> {
  const volumes = await volumeUsage(context)
  const unused = volumes.filter(({ links }) => links === 0)
  return {
    type: 'Local Volumes',
    total: volumes.length,
    active: volumes.length - unused.length,
    sizeBytes: sum(volumes.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(unused.map(({ bytes }) => bytes)),
  }
}

/** As `diskUsage`, of each thing. */
export async function diskUsageDetails(context: Context): Promise<UsageDetails> {
  const { uniqueBytes } = context.images.usage(imagesInUse(context))
  const [containers, volumes] = await Promise.all([containerUsage(context), volumeUsage(context)])
  return {
    images: listImages(context).map((image) => ({
      ...image,
      uniqueBytes: uniqueBytes.get(image.id) ?? 0,
    })),
    containers: containers.map(({ record: { id, config, state }, bytes }) => ({
      id,
      name: config.name,
      image: config.image.reference,
      state,
      sizeBytes: bytes,
    })),
    volumes: volumes.map(({ name, links, bytes }) => ({ name, links, sizeBytes: bytes })),
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
  matches: PruneFilter,
): Promise<{ readonly removed: string[]; readonly reclaimedBytes: number }> {
  const removed: string[] = []
  let reclaimedBytes = 0
  for (const { id, state, config, createdAt } of context.containers.values()) {
    if (state !== 'exited' && state !== 'created' && state !== 'dead') continue
    if (!matches({ createdAt, labels: config.labels })) continue
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

/**
 * Removes what nothing uses: stopped containers, networks, images, what builds keep, and volumes when asked.
 * @throws {INVALID_ARGUMENT} a filter that can't be used
 */
export async function pruneSystem(
  context: Context,
  { all = false, volumes = false, filters = [] }: SystemPruneRequest,
): Promise<SystemPruneResponse> {
  const matches = pruneFilter(filters)
  const containers = await pruneContainers(context, matches)
  const networks = await pruneNetworks(context, matches)
  const nothing = { removed: [], reclaimedBytes: 0 }
  const lost = volumes ? await pruneVolumes(context, false, matches) : nothing
  const images = await pruneImages(context, { all, filters })
  const cache = filters.length === 0 ? await pruneBuildCache(context, {}) : nothing
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
