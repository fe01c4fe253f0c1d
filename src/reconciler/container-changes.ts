/** What a container has written: told, or given away as an archive of its whole root. */
import type { FileChange } from '../api/file-types.ts'
import { archiveTree } from '../engine/images/tree-archive.ts'
import type { Context } from './context.ts'
import { openRootOf } from './container-root.ts'

/** An archive while it is made; its container is held until it is closed. */
export interface OpenedArchive {
  readonly chunks: AsyncGenerator<Buffer>
  /** Safe to call twice. */
  readonly close: () => void
}

/** In the order of the paths; none for a container that was never started. */
export async function changedFiles(context: Context, id: string): Promise<FileChange[]> {
  if (!context.snapshotter.has(id)) return []
  const changes = await context.images.changes(context.snapshotter.content(id))
  return changes.map(({ kind, path }) => ({ kind, path: `/${path}` }))
}

/** A tar archive of the root, without what is mounted in it. */
export async function exportContainer(context: Context, id: string): Promise<OpenedArchive> {
  const { fd, owner, close } = await openRootOf(context, id, { withMounts: false })
  return { chunks: archiveTree(fd, { owner, oneMount: true }), close }
}
