/** Volumes as things of their own: listed, looked at, made without a stack, removed when nothing mounts them. */
import type { PruneResult, VolumeDetail, VolumeRequest, VolumeSummary } from '../api/types.ts'
import { volumeConfigHash } from '../planner/config-hash.ts'
import { directorySize } from '../volumes/directory-size.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import { inUse } from './network-admin.ts'
import type { ContainerRecord, VolumeRecord } from './records.ts'
import { putVolume } from './create-volume.ts'
import type { PruneFilter } from './prune-filter.ts'

export const ANONYMOUS_LABEL = 'com.docker.volume.anonymous'

/** By name. @param options.sizes - looks at every file of them: slow for large ones */
export async function listVolumes(
  context: Context,
  options: { readonly stack?: string; readonly sizes?: boolean },
): Promise<VolumeSummary[]> {
  const { stack, sizes } = options
  const records = context.volumeRecords
    .values()
    .filter((record) => stack === undefined || record.stack === stack)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  return Promise.all(records.map((record) => summaryOf(context, record, sizes === true)))
}

async function summaryOf(
  context: Context,
  record: VolumeRecord,
  withSize: boolean,
): Promise<VolumeSummary> {
  const { name, stack, labels, createdAt, options } = record
  const data = context.volumes.dataPath(name)
  return {
    name,
    ...(stack === undefined ? {} : { stack }),
    driver: 'local',
    mountpoint: data,
    createdAt,
    labels,
    ...(withSize && options === undefined ? { sizeBytes: await directorySize(data) } : {}),
  }
}

/** @throws {NOT_FOUND} */
export async function inspectVolume(context: Context, name: string): Promise<VolumeDetail> {
  const record = requireVolume(context, name, 'show')
  return {
    ...(await summaryOf(context, record, true)),
    options: record.options ?? {},
    containers: usersOfVolume(context, name)
      .map(({ config }) => config.name)
      .sort(),
  }
}

/** @throws {ALREADY_EXISTS} */
export async function createLoneVolume(context: Context, request: VolumeRequest): Promise<void> {
  const { name, labels = {}, options } = request
  const known = context.volumeRecords.get(name)
  if (known !== undefined)
    throw new TsstackError('ALREADY_EXISTS', `Cannot create volume "${name}": it exists`)
  const definition = { name, ...(options === undefined ? {} : { driver_opts: options }) }
  await putVolume(context, { name, labels, configHash: volumeConfigHash(definition) }, definition)
}

/** @throws {NOT_FOUND}, {FAILED_PRECONDITION} naming the containers that mount it */
export async function removeVolume(context: Context, name: string): Promise<void> {
  const { stack } = requireVolume(context, name, 'remove')
  await context.locks.run(`stack ${stack ?? ''}`, async () => {
    const users = usersOfVolume(context, name)
    if (users.length > 0) throw inUse('volume', name, users)
    await dropVolume(context, name)
  })
}

/** Removes a volume with its data; the caller knows that nothing needs it. */
export async function dropVolume(context: Context, name: string): Promise<void> {
  const stack = context.volumeRecords.get(name)?.stack ?? ''
  await context.volumes.remove(name)
  context.volumeRecords.delete(name)
  context.events.emit({ type: 'volume', action: 'destroy', stack, id: name, attributes: {} })
}

/** Removes volumes that no container mounts, running or not. @param all - those with a name too */
export async function pruneVolumes(
  context: Context,
  all: boolean,
  matches: PruneFilter = () => true,
): Promise<PruneResult> {
  const removed: string[] = []
  let reclaimedBytes = 0
  for (const volume of context.volumeRecords.values()) {
    const { name, labels, options } = volume
    if (!all && labels[ANONYMOUS_LABEL] === undefined) continue
    if (usersOfVolume(context, name).length > 0 || !matches(volume)) continue
    const bytes = options === undefined ? await directorySize(context.volumes.dataPath(name)) : 0
    if (usersOfVolume(context, name).length > 0) continue // since it was measured
    await removeVolume(context, name)
    reclaimedBytes += bytes
    removed.push(name)
  }
  return { removed: removed.sort(), reclaimedBytes }
}

/** Containers that mount a volume when they run. */
export function usersOfVolume(
  context: Pick<Context, 'containers'>,
  name: string,
): ContainerRecord[] {
  return context.containers
    .values()
    .filter(({ config }) =>
      config.mounts.some((mount) => mount.kind === 'volume' && mount.volume === name),
    )
}

/** @throws {NOT_FOUND} */
export function requireVolume(context: Context, name: string, verb: string): VolumeRecord {
  const record = context.volumeRecords.get(name)
  if (record !== undefined) return record
  throw new TsstackError('NOT_FOUND', `Cannot ${verb} volume "${name}": there is none`, {
    hint: '"tsstack volume ls" lists them',
  })
}
