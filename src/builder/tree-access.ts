/** Layers as a tree that the builder reads or writes itself: an overlay that is mounted nowhere. */
import type { ImageBuilds, LayerDraft } from '../engine/images/image-builds.ts'
import type { Digest } from '../engine/images/image.ts'
import { openRoot } from '../engine/root-file-system.ts'
import { FdScope } from '../kernel/fd-scope.ts'

/** @param work - is given the descriptor of the root, which ends with it */
export async function withDraft<T>(
  draft: LayerDraft,
  work: (rootFd: number) => Promise<T>,
): Promise<T> {
  const scope = new FdScope()
  try {
    return await work(openRoot(draft.mount, undefined, scope).fd)
  } finally {
    scope.close()
  }
}

/** As `withDraft`, for reading. */
export async function withLayers<T>(
  builds: ImageBuilds,
  layers: readonly Digest[],
  work: (rootFd: number) => Promise<T>,
): Promise<T> {
  const draft = await builds.draft(layers, 0)
  try {
    return await withDraft(draft, work)
  } finally {
    await draft.discard()
  }
}
