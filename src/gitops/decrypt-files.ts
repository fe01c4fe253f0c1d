/**
 * Files that age(1) or SOPS encrypted, as the loader sees them: plain. The loader reads without waiting, so it is told that such a
 * file is not there yet; it is decrypted meanwhile, and the loader is called again. The plain text is in memory alone: it ends up
 * where secrets and environments do, never in a checkout and never in a log.
 */
import { toTsstackError, TsstackError } from '../errors.ts'
import type { FileAccess } from '../spec/load-options.ts'
import { decryptByAge } from './decrypt-by-age.ts'
import { decryptSops, isSopsFile } from './sops/decrypt-sops.ts'

const BY_AGE = /\.age$/

export interface DecryptedFiles {
  readonly files: FileAccess
  /** Decrypts what was asked for meanwhile. @returns whether there was anything */
  readonly decryptWanted: () => Promise<boolean>
}

interface Wanted {
  readonly bytes: Buffer
  readonly decrypt: (bytes: Buffer, identityFile: string) => Promise<Buffer>
}

/** @param identityFile - of the host, absolute; absent: what age or SOPS encrypted is refused */
export function decryptedFiles(
  files: FileAccess,
  identityFile: string | undefined,
): DecryptedFiles {
  const known = new Map<string, Buffer | TsstackError>()
  const wanted = new Map<string, Wanted>()
  const readFile = (path: string): Uint8Array => {
    const plain = known.get(path)
    if (plain instanceof Error) throw plain
    if (plain !== undefined) return plain
    const read = files.readFile(path)
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength)
    const decrypt = methodOf(path, bytes)
    if (decrypt === undefined) return bytes
    if (identityFile !== undefined) {
      wanted.set(path, { bytes, decrypt })
      throw new TsstackError('UNAVAILABLE', 'it is not decrypted yet')
    }
    throw withoutIdentity(decrypt === decryptByAge ? 'age' : 'SOPS')
  }
  const decryptWanted = async (): Promise<boolean> => {
    const paths = [...wanted]
    wanted.clear()
    for (const [path, { bytes, decrypt }] of paths)
      known.set(path, await decrypt(bytes, identityFile ?? '').catch(toTsstackError))
    return paths.length > 0
  }
  const isSecret = (path: string): boolean => known.has(path)
  return { files: { ...files, readFile, isSecret }, decryptWanted }
}

function methodOf(path: string, bytes: Buffer): Wanted['decrypt'] | undefined {
  if (BY_AGE.test(path)) return decryptByAge
  if (!isSopsFile(bytes)) return undefined
  return (sealed, identityFile) => decryptSops(sealed, path, identityFile)
}

/** A container would get it as it is, and take it for the secret. */
function withoutIdentity(program: string): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    `${program} encrypted it, and the source has no --age-identity`,
    {
      hint: 'Give the source --age-identity with the key of one of its recipients',
    },
  )
}
