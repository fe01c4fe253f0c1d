/**
 * Named volumes: directories of the state directory. Ids on disk are the container's own (0 is its root), whatever
 * range the stack has: volumes are mounted ID-mapped.
 *
 *   <root>/<name>/_data       what is mounted
 */
import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { TsstackError } from '../errors.ts'
import { copyTree } from './copy-tree.ts'

export interface VolumeStore {
  /** The directory of a volume, whether it exists or not. */
  dataPath(name: string): string
  /** Idempotent. */
  create(name: string): Promise<void>
  /** Gone at once by its name, then from the disk; idempotent. */
  remove(name: string): Promise<void>
  /**
   * Fills an empty volume with what the image has at the mount point, ids, modes and times kept (Docker's copy-up).
   * A volume that holds anything is left alone.
   * @param idOffset host id of the container's root as seen in `source`
   */
  seed(name: string, source: string, idOffset: number): Promise<void>
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
const MAX_NAME_LENGTH = 255

/** @param root made when the first volume is */
export function openVolumeStore(root: string): VolumeStore {
  const dataPath = (name: string): string => {
    if (!NAME.test(name) || name.length > MAX_NAME_LENGTH) {
      throw new TsstackError('INVALID_ARGUMENT', `Cannot use volume name "${name}": it must match ${NAME.source}`)
    }
    return path.join(root, name, '_data')
  }
  return {
    dataPath,
    async create(name) {
      const data = dataPath(name)
      if (existsSync(data)) return
      await mkdir(data, { recursive: true, mode: 0o711 })
      await chmod(data, 0o755)
    },
    async remove(name) {
      const directory = path.dirname(dataPath(name))
      if (!existsSync(directory)) return
      const doomed = path.join(root, `.removed-${process.pid}-${name}`)
      await rename(directory, doomed)
      await rm(doomed, { recursive: true, force: true })
    },
    async seed(name, source, idOffset) {
      const data = dataPath(name)
      if ((await readdir(data)).length > 0) return
      // First beside it, then in one step: a copy that was cut short is never taken for the volume.
      const draft = path.join(path.dirname(data), `.seed-${process.pid}`)
      await rm(draft, { recursive: true, force: true })
      await copyTree(source, draft, idOffset)
      await rename(draft, data)
    },
  }
}

