/** Backup and restore of volumes, as tar archives with the ids that the containers know. */
import { closeSync } from 'node:fs'
import { sourceFromChunks } from '../engine/images/byte-source.ts'
import { unpackLayer } from '../engine/images/layer-unpack.ts'
import { archiveTree } from '../engine/images/tree-archive.ts'
import { volumeSourceOf } from '../volumes/volume-source.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'
import { putVolume } from './create-volume.ts'
import type { VolumeRecord } from './records.ts'
import { requireVolume } from './volume-admin.ts'

/** Backups of volumes, as users of their file systems. */
let exports = 0

/** @throws {NOT_FOUND}; what a container changes meanwhile may be in it or not */
export async function exportVolume(
  context: Context,
  name: string,
): Promise<AsyncGenerator<Buffer>> {
  const record = requireVolume(context, name, 'export')
  const { root, close } = await openTree(context, record)
  return closing(archiveTree(root), close)
}

async function openTree(
  context: Context,
  { name, options }: VolumeRecord,
): Promise<{ readonly root: string; readonly close: () => void }> {
  if (options === undefined) return { root: context.volumes.dataPath(name), close: () => undefined }
  const source = volumeSourceOf(name, options)
  if (source.kind === 'bind') return { root: source.path, close: () => undefined }
  const container = `export ${String(exports++)}`
  const { fd, plainFd } = await context.volumeMounts.open({ volume: name, source, container })
  return {
    root: `/proc/self/fd/${plainFd}/.`,
    close: () => {
      closeSync(fd)
      context.volumeMounts.release(container)
    },
  }
}

async function* closing(chunks: AsyncGenerator<Buffer>, close: () => void): AsyncGenerator<Buffer> {
  try {
    yield* chunks
  } finally {
    close()
  }
}

/**
 * Fills a volume, which is made when there is none, from an archive that is taken to be hostile: the code is that of
 * image layers. Entirely or not at all.
 * @throws {FAILED_PRECONDITION} when the volume holds something, or has a file system of its own
 * @throws {INVALID_ARGUMENT} for an archive that can't be
 */
export async function importVolume(
  context: Context,
  name: string,
  chunks: AsyncIterable<Buffer>,
): Promise<void> {
  if (context.volumeRecords.get(name)?.options !== undefined)
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot import into volume "${name}": it has driver options`,
      { hint: 'Mount it in a container, and unpack the archive there' },
    )
  const isNew = context.volumeRecords.get(name) === undefined
  if (isNew) await putVolume(context, { name, labels: {}, configHash: '' }, {})
  try {
    await context.volumes.fill(name, async (directory) => {
      await unpackLayer(sourceFromChunks(chunks), directory, { whiteouts: false })
    })
  } catch (error) {
    if (isNew) {
      await context.volumes.remove(name)
      context.volumeRecords.delete(name)
    }
    throw error
  }
}
