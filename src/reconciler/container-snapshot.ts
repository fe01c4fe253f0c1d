import type { Mount } from '../kernel/mount.ts'
import type { Context } from './context.ts'
import type { ContainerRecord } from './records.ts'

/**
 * The writable layer of a container on top of its image; made when it is not there yet.
 * @param owner the host's id that is the container's 0
 */
export function prepareSnapshot(
  context: Pick<Context, 'snapshotter' | 'images'>,
  { id, config }: Pick<ContainerRecord, 'id' | 'config'>,
  owner: number,
): Promise<Mount> {
  const limit = config.storageBytes === undefined ? {} : { sizeBytes: config.storageBytes }
  const image = context.images.inspect(config.image.id)
  return context.snapshotter.prepare(id, image, { uid: owner, gid: owner, ...limit })
}
