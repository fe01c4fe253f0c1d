/**
 * Named volumes: directories of the state directory. Ids on disk are the container's own (0 is its root), whatever
 * range the stack has: volumes are mounted ID-mapped.
 *
 *   <root>/<name>/_data       what is mounted; once made it stays the same directory, since containers hold on to it
 *                 .draft      a copy of the image's content while it is made
 *                 .seed       a complete copy, whose entries are being moved into _data
 *   <root>/.removed-…         what is left of a volume that is being removed
 */
import { existsSync, readdirSync } from 'node:fs'
import { chmod, chown, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
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
   * A volume that holds anything is left alone. Calls for one volume run one after the other.
   * @param idOffset host id of the container's root as seen in `source`
   */
  seed(name: string, source: string, idOffset: number): Promise<void>
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
const MAX_NAME_LENGTH = 255
const REMOVED = '.removed-'

/** @param root made when the first volume is; removals that were cut short are finished when a volume is next made */
export function openVolumeStore(root: string): VolumeStore {
  const seeding = new Map<string, Promise<void>>()
  const dataPath = (name: string): string => {
    if (!NAME.test(name) || name.length > MAX_NAME_LENGTH) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot use volume name "${name}": it must match ${NAME.source}`,
      )
    }
    return path.join(root, name, '_data')
  }
  let doomed = existsSync(root) ? readdirSync(root).filter((name) => name.startsWith(REMOVED)) : []
  const finishRemovals = async (): Promise<void> => {
    const names = doomed
    doomed = []
    for (const name of names) await rm(path.join(root, name), { recursive: true, force: true })
  }
  return {
    dataPath,
    async create(name) {
      const data = dataPath(name)
      if (doomed.length > 0) await finishRemovals()
      if (existsSync(data)) return
      // In one step: a directory with another mode is never taken for the volume.
      const fresh = path.join(path.dirname(data), `.new-${process.pid}`)
      await mkdir(fresh, { recursive: true, mode: 0o711 })
      await chmod(fresh, 0o755)
      await rename(fresh, data).catch(async (error: unknown) => {
        if (!existsSync(data)) throw error // else another call was faster
        await rm(fresh, { recursive: true, force: true })
      })
    },
    async remove(name) {
      const directory = path.dirname(dataPath(name))
      if (!existsSync(directory)) return
      const removed = path.join(root, `${REMOVED}${process.pid}-${name}`)
      await rename(directory, removed)
      await rm(removed, { recursive: true, force: true })
    },
    async seed(name, source, idOffset) {
      const data = dataPath(name)
      const before = seeding.get(name) ?? Promise.resolve()
      const seeded = before.catch(() => undefined).then(() => seed(data, source, idOffset))
      seeding.set(name, seeded)
      try {
        await seeded
      } finally {
        if (seeding.get(name) === seeded) seeding.delete(name)
      }
    },
  }
}

async function seed(data: string, source: string, idOffset: number): Promise<void> {
  const beside = path.dirname(data)
  const [draft, complete] = [path.join(beside, '.draft'), path.join(beside, '.seed')]
  if (!existsSync(complete)) {
    if ((await readdir(data)).length > 0) return
    await rm(draft, { recursive: true, force: true })
    await copyTree(source, draft, idOffset)
    await rename(draft, complete)
  }
  const present = new Set(await readdir(data))
  for (const entry of await readdir(complete)) {
    if (!present.has(entry)) await rename(path.join(complete, entry), path.join(data, entry))
  }
  const { uid, gid, mode } = await stat(complete)
  await chown(data, uid, gid)
  await chmod(data, mode & 0o7777)
  await rm(complete, { recursive: true, force: true })
}
