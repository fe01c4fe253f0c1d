import type { ContainerConfig } from '../engine/container-config.ts'
import { isDigest, type Digest } from '../engine/images/image.ts'
import type { Context } from './context.ts'

/** Its own, and those that it mounts. */
function imagesOf({ image, mounts }: ContainerConfig): Digest[] {
  const mounted = mounts.flatMap((mount) => (mount.kind === 'image' ? [mount.image.id] : []))
  return [image.id, ...mounted].filter(isDigest)
}

/** Revisions of a stack that one can surely go back to. */
const GOOD_REVISIONS = 3

/** What the current revision of each stack has, and the last good ones before it. */
function imagesOfRevisions(context: Context): Digest[] {
  return context.stacks.values().flatMap(({ name }) => {
    const [current, ...earlier] = context.revisions.list(name)
    const good = earlier.filter(({ outcome }) => outcome.status === 'succeeded')
    return [...(current === undefined ? [] : [current]), ...good.slice(0, GOOD_REVISIONS)]
      .flatMap((revision) => [
        ...Object.values(revision.imageDigests),
        ...Object.values(revision.mountedImageDigests),
      ])
      .filter(isDigest)
  })
}

/** Ids of the images that containers have, running or not. */
export function imagesInUse(context: Context): Set<Digest> {
  return new Set(context.containers.values().flatMap(({ config }) => imagesOf(config)))
}

/** What no clean-up takes: images in use, and those that a rollback would need. */
export function imagesToKeep(context: Context): Set<Digest> {
  return new Set([...imagesInUse(context), ...imagesOfRevisions(context)])
}
