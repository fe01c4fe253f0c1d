/** Layers as a tree that the builder reads or writes itself, mounted nowhere. */
import type { ImageBuilds, LayerDraft } from '../engine/images/image-builds.ts'
import type { Digest } from '../engine/images/image.ts'
import { openRoot } from '../engine/root-file-system.ts'
import { FdScope } from '../kernel/fd-scope.ts'
import type { Mount } from '../kernel/mount.ts'

/** @param work - is given the descriptor of the root, which ends with it */
async function withRoot<T>(mount: Mount, work: (rootFd: number) => Promise<T>): Promise<T> {
  const scope = new FdScope()
  try {
    return await work(openRoot(mount, undefined, scope).fd)
  } finally {
    scope.close()
  }
}

/** For writing. @param work - is given the descriptor of the root, which ends with it */
export function withDraft<T>(
  { mount }: LayerDraft,
  work: (rootFd: number) => Promise<T>,
): Promise<T> {
  return withRoot(mount, work)
}

/** As `withDraft`, for reading. */
export function withLayers<T>(
  builds: ImageBuilds,
  layers: readonly Digest[],
  work: (rootFd: number) => Promise<T>,
): Promise<T> {
  return withRoot(builds.reading(layers), work)
}
