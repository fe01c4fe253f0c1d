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

/** The mark of a value that SOPS encrypted, and of what it notes beside them, in YAML, JSON, INI and `.env`. */
const SOPS_VALUE = 'ENC[AES256_GCM,'
const SOPS_NOTES = /^\s*"?\[?sops(?:_mac|_version)?\b"?\]?\s*[:=]?/m

/**
 * What SOPS encrypted is refused: a container would get it as it is, and take it for the secret.
 * @param identityFile - of the host, absolute; absent: what age encrypted is what it is
 */
export function decryptedFiles(files: FileAccess, identityFile: string | undefined): FileAccess {
  return {
    ...files,
    readFile: (path) => {
      const bytes = files.readFile(path)
      refuseSops(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
      return identityFile !== undefined && ENCRYPTED.test(path)
        ? decrypt(bytes, path, identityFile)
        : bytes
    },
  }
}

/** @throws {FAILED_PRECONDITION} */
function refuseSops(bytes: Buffer): void {
  if (!bytes.includes(SOPS_VALUE) || !SOPS_NOTES.test(bytes.toString())) return
  throw new TsstackError('FAILED_PRECONDITION', 'SOPS encrypted it, which is not read', {
    hint: 'Encrypt the whole file with age, and name it NAME.age',
  })
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
