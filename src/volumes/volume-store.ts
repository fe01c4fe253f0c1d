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
  /**
   * Fills an empty volume with what `make` puts into a directory beside it, entirely or not at all.
   * @throws {FAILED_PRECONDITION} when it holds something
   */
  fill(name: string, make: (directory: string) => Promise<void>): Promise<void>
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
const MAX_NAME_LENGTH = 255
const REMOVED = '.removed-'

/** @param root made when the first volume is; removals that were cut short are finished when a volume is next made */
export function openVolumeStore(root: string): VolumeStore {
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
  const inTurn = createTurns(dataPath)
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
      await inTurn(name, async (data) => {
        if (existsSync(completeOf(data)) || (await readdir(data)).length === 0)
          await fill(data, (draft) => copyTree(source, draft, idOffset))
      })
    },
    async fill(name, make) {
      await inTurn(name, async (data) => {
        if (existsSync(completeOf(data)) || (await readdir(data)).length > 0) throw notEmpty(name)
        await fill(data, async (draft) => {
          await mkdir(draft)
          await make(draft)
        })
      })
    },
  }
}

function notEmpty(name: string): TsstackError {
  return new TsstackError('FAILED_PRECONDITION', `Cannot fill volume "${name}": it is not empty`, {
    hint: 'Remove the volume first, or fill another one',
  })
}

/** Work on one volume runs one after the other. */
function createTurns(
  dataPath: (name: string) => string,
): (name: string, work: (data: string) => Promise<void>) => Promise<void> {
  const last = new Map<string, Promise<void>>()
  return async (name, work) => {
    const data = dataPath(name)
    const before = last.get(name) ?? Promise.resolve()
    const done = before.catch(() => undefined).then(() => work(data))
    last.set(name, done)
    try {
      await done
    } finally {
      if (last.get(name) === done) last.delete(name)
    }
  }
}

/** A complete copy beside a volume. */
function completeOf(data: string): string {
  return path.join(path.dirname(data), '.seed')
}

async function fill(data: string, make: (draft: string) => Promise<void>): Promise<void> {
  const [draft, complete] = [path.join(path.dirname(data), '.draft'), completeOf(data)]
  if (!existsSync(complete)) {
    await rm(draft, { recursive: true, force: true })
    try {
      await make(draft)
    } catch (error) {
      await rm(draft, { recursive: true, force: true })
      throw error
    }
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
