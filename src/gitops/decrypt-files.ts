/**
 * Files that age(1) encrypted, as the loader sees them: plain. The plain text is in memory alone; it ends up where secrets
 * and environments do, never in a checkout and never in a log.
 */
import { spawnSync } from 'node:child_process'
import { TsstackError } from '../errors.ts'
import type { FileAccess } from '../spec/load-options.ts'

const ENCRYPTED = /\.age$/
const TIMEOUT_MS = 15_000
const MAX_PLAIN_BYTES = 16 << 20

/** @param identityFile - of the host; absolute */
export function decryptedFiles(files: FileAccess, identityFile: string): FileAccess {
  return {
    ...files,
    readFile: (path) => {
      const bytes = files.readFile(path)
      return ENCRYPTED.test(path) ? decrypt(bytes, path, identityFile) : bytes
    },
  }
}

/** @throws {FAILED_PRECONDITION} no age on the PATH; {PERMISSION_DENIED} it is not for this identity */
function decrypt(bytes: Uint8Array, path: string, identityFile: string): Buffer {
  // The loader reads without waiting; a secret takes age some milliseconds.
  const run = spawnSync('age', ['--decrypt', '--identity', identityFile], {
    input: bytes,
    timeout: TIMEOUT_MS,
    maxBuffer: MAX_PLAIN_BYTES,
    env: { PATH: process.env['PATH'] },
  })
  if (run.error !== undefined && (run.error as NodeJS.ErrnoException).code === 'ENOENT')
    throw new TsstackError('FAILED_PRECONDITION', 'there is no age on the PATH', {
      hint: 'Install it (Debian: apt-get install age)',
    })
  if (run.status === 0) return run.stdout
  const said =
    run.stderr
      .toString()
      .split('\n', 1)[0]
      ?.replace(/^age: error: /, '') ?? ''
  throw new TsstackError('PERMISSION_DENIED', `Cannot decrypt "${path}": ${said}`)
}
