/** The file system, as the loader of stacks needs it. */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { TsstackError } from '../errors.ts'
import type { FileAccess } from '../spec/load-options.ts'

const MAX_FILE_BYTES = 64 << 20

export const nodeFiles: FileAccess = {
  readFile: (path) => {
    const { size } = statSync(path)
    if (size > MAX_FILE_BYTES) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot read "${path}": more than ${String(MAX_FILE_BYTES)} bytes`,
      )
    }
    return readFileSync(path)
  },
  exists: (path) => statSync(path, { throwIfNoEntry: false }) !== undefined,
  isDirectory: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
  realpath: (path) => realpathSync(path),
}
