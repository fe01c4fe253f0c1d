/** Opens a file that another process has seen, if this one sees the same by that path. */
import { constants, type BigIntStats } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'

export interface SeenFile {
  /** Absolute. */
  readonly path: string
  /** `device:inode:size:mtime`, in decimal digits, the time in nanoseconds. */
  readonly version: string
}

function versionOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join(':')
}

/**
 * Opens it for reading.
 * @returns undefined where another file, or none, has that path: another mount namespace or machine, or it has changed
 */
export async function openSeenFile({ path, version }: SeenFile): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = constants
  let handle: FileHandle
  try {
    handle = await open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
  } catch {
    return undefined
  }
  const stats = await handle.stat({ bigint: true })
  if (stats.isFile() && versionOf(stats) === version) return handle
  await handle.close()
  return undefined
}
