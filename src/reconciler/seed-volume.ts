/** Docker's copy-up: an empty volume gets what the image has where it is mounted, before the container's first start. */
import { closeSync, readdirSync } from 'node:fs'
import type { ContainerRoot } from '../engine/container-root.ts'
import { sourceFromChunks } from '../engine/images/byte-source.ts'
import { copyIntoTree } from '../engine/images/copy-into-tree.ts'
import { archiveTree } from '../engine/images/tree-archive.ts'
import type { StackUserNamespace } from '../engine/user-namespace.ts'
import { O_DIRECTORY, Open } from '../kernel/constants.ts'
import { RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'
import { TsstackError } from '../errors.ts'
import type { Context } from './context.ts'

/** Where a volume is mounted. */
export interface SeedRequest {
  readonly mount: { readonly volume: string; readonly target: string }
  /** The image's files, as the container sees them. */
  readonly root: ContainerRoot
  readonly userns: StackUserNamespace | undefined
}

/** Seeds a volume of the state directory, entirely or not at all. */
export async function seedVolume(context: Context, request: SeedRequest): Promise<void> {
  const source = openImageDirectory(request)
  if (source === undefined) return
  try {
    const path = `/proc/self/fd/${source}`
    await context.volumes.seed(request.mount.volume, path, ownerOf(request))
  } finally {
    closeSync(source)
  }
}

/**
 * Seeds a directory that others may have mounted, too, and change meanwhile: it is written as the files of a container are.
 * @param place descriptor of the directory, whose ids are those of the container
 * @throws {FAILED_PRECONDITION} when the file system refuses a file or its owner
 */
export async function seedForeignDirectory(
  context: Context,
  place: number,
  request: SeedRequest,
): Promise<void> {
  const { volume } = request.mount
  const source = openImageDirectory(request)
  if (source === undefined) return
  try {
    await context.locks.run(`seed of volume ${volume}`, async () => {
      if (!isEmpty(place) || isEmpty(source)) return
      const archive = sourceFromChunks(archiveTree(source, { owner: ownerOf(request) }))
      await copyIntoTree(archive, { rootFd: place, directory: '/', owner: 0, keepIds: true })
    })
  } catch (error) {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot fill volume "${volume}" with what the image has at "${request.mount.target}": ${(error as Error).message}`,
      { cause: error, hint: 'Set "volume.nocopy: true" to mount it as it is' },
    )
  } finally {
    closeSync(source)
  }
}

/** @returns undefined when the image has no directory there */
function openImageDirectory({ root, mount }: SeedRequest): number | undefined {
  const flags = Open.PATH | O_DIRECTORY
  const fd = tryOpenConfined(root.fd, mount.target, { flags, resolve: RESOLVE.IN_ROOT })
  return fd < 0 ? undefined : fd
}

function ownerOf({ userns }: SeedRequest): number {
  return userns?.range.start ?? 0
}

function isEmpty(directory: number): boolean {
  return readdirSync(`/proc/self/fd/${directory}/.`).length === 0
}
