import type { ContainerConfig } from '../engine/container-config.ts'
import { isDigest, type Digest } from '../engine/images/image.ts'
import type { Context } from './context.ts'

/** Its own, and those that it mounts. */
function imagesOf({ image, mounts }: ContainerConfig): Digest[] {
  const mounted = mounts.flatMap((mount) => (mount.kind === 'image' ? [mount.image.id] : []))
  return [image.id, ...mounted].filter(isDigest)
}

/** Ids of the images that containers have, running or not. */
export function imagesInUse(context: Context): Set<Digest> {
  return new Set(context.containers.values().flatMap(({ config }) => imagesOf(config)))
}
