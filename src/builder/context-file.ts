/** Small files that decide about a build: the Dockerfile, ignore files. */
import fs from 'node:fs'
import { O_PATH, RESOLVE, tryOpenConfined } from '../kernel/file-calls.ts'

const MAX_FILE_BYTES = 4 << 20
const FOLLOWED = { resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS }
const { O_DIRECTORY, O_NONBLOCK, O_RDONLY } = fs.constants

function readSmall(fd: number): string | undefined {
  const stats = fs.fstatSync(fd)
  return stats.isFile() && stats.size <= MAX_FILE_BYTES ? fs.readFileSync(fd, 'utf8') : undefined
}

/** A file of a context: its symlinks lead to nothing outside. @returns undefined when there is none, or it is too large */
export function readBeneath(context: string, file: string): string | undefined {
  const root = fs.openSync(context, O_PATH | O_DIRECTORY)
  try {
    const fd = tryOpenConfined(root, file, { flags: O_RDONLY | O_NONBLOCK, ...FOLLOWED })
    if (fd < 0) return undefined
    try {
      return readSmall(fd)
    } finally {
      fs.closeSync(fd)
    }
  } finally {
    fs.closeSync(root)
  }
}

/** A file that the user names outside of the context. @returns as `readBeneath` */
export function readOutside(file: string): string | undefined {
  try {
    const fd = fs.openSync(file, O_RDONLY | O_NONBLOCK)
    try {
      return readSmall(fd)
    } finally {
      fs.closeSync(fd)
    }
  } catch {
    return undefined
  }
}
