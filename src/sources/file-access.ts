/** The file system, as the loader of stacks needs it. */
import { closeSync, fstatSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { TsstackError } from '../errors.ts'
import type { FileAccess } from '../spec/load-options.ts'

const MAX_FILE_BYTES = 64 << 20
const CHUNK_BYTES = 65_536

export const nodeFiles: FileAccess = {
  readFile: (path) => {
    const fd = openSync(path, 'r')
    try {
      return readBounded(fd, path)
    } finally {
      closeSync(fd)
    }
  },
  exists: (path) => statSync(path, { throwIfNoEntry: false }) !== undefined,
  isDirectory: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
  realpath: (path) => realpathSync(path),
}

/** All bytes; pipes and devices (`-f <(…)`, /dev/zero) say nothing of their size. */
function readBounded(fd: number, path: string): Buffer {
  const chunks: Buffer[] = []
  const { size } = fstatSync(fd)
  for (let total = 0; total <= MAX_FILE_BYTES;) {
    const buffer = Buffer.allocUnsafe(
      Math.min(MAX_FILE_BYTES, Math.max(size - total + 1, CHUNK_BYTES)),
    )
    const count = readSync(fd, buffer)
    if (count === 0) return Buffer.concat(chunks)
    chunks.push(buffer.subarray(0, count))
    total += count
  }
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot read "${path}": more than ${String(MAX_FILE_BYTES)} bytes`,
  )
}
