/**
 * Files that SOPS encrypted, for recipients of age(1): the data key by age itself, each value by AES-256-GCM, and then the code over
 * all values, in their order, that SOPS notes beside them: none can be changed, moved, left out or put in. Nothing is given
 * away before it has been checked.
 */
import { createHash } from 'node:crypto'
import type { RE2JS } from 're2js'
import { TsstackError } from '../../errors.ts'
import { decryptByAge } from '../decrypt-by-age.ts'
import { readMetadata, type EncryptionRules, type SopsMetadata } from './sops-metadata.ts'
import { readSopsTree, type SopsLeaf } from './sops-tree.ts'
import { decryptValue, textOfValue } from './sops-value.ts'

/** Of a file; it is parsed at once. */
const MAX_BYTES = 1 << 20
const KEY_BYTES = 32
const VALUE = 'ENC[AES256_GCM,'
const NOTES = /^[ \t]*\[?sops(?:_mac|_version)?\b|"sops"\s{0,100}:/m
/** sha256 of "sops": what a code over encrypted values alone begins with (sops.go). */
const ONLY_ENCRYPTED = '8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69'

/** Whether a file looks as SOPS leaves it: it would be taken for the secret. */
export function isSopsFile(bytes: Buffer): boolean {
  return bytes.includes(VALUE) && NOTES.test(bytes.toString())
}

/**
 * @param path - its name says what form a JSON object stands for
 * @param identityFile - of age, on the host; absolute
 * @throws {PERMISSION_DENIED} not for this identity, or changed; {FAILED_PRECONDITION} {UNIMPLEMENTED} {INVALID_ARGUMENT}
 */
export async function decryptSops(
  bytes: Buffer,
  path: string,
  identityFile: string,
): Promise<Buffer> {
  if (bytes.length > MAX_BYTES)
    throw new TsstackError('INVALID_ARGUMENT', `SOPS: it is larger than ${String(MAX_BYTES)} bytes`)
  const tree = readSopsTree(bytes.toString(), path)
  const metadata = readMetadata(tree.notes)
  const isEncrypted = await selectorOf(metadata.rules)
  const key = await dataKeyOf(metadata, identityFile)
  decryptLeaves(tree.leaves, { key, metadata, isEncrypted })
  return tree.plain()
}

async function dataKeyOf({ ageKeys }: SopsMetadata, identityFile: string): Promise<Buffer> {
  let refusal: unknown
  for (const sealed of ageKeys) {
    try {
      const key = await decryptByAge(Buffer.from(sealed), identityFile)
      if (key.length === KEY_BYTES) return key
      refusal = new TsstackError('INVALID_ARGUMENT', 'SOPS: its data key is none')
    } catch (error) {
      refusal = error
    }
  }
  throw refusal
}

type Selector = (path: readonly string[]) => boolean

/** The rules in the order in which SOPS asks them; its expressions are Go's, and come from git. */
async function selectorOf(rules: EncryptionRules): Promise<Selector> {
  const { unencryptedSuffix, encryptedSuffix, unencryptedRegex, encryptedRegex } = rules
  const withoutIt = await compiled(unencryptedRegex)
  const withIt = await compiled(encryptedRegex)
  return (path) => {
    const ends = (suffix: string): boolean => path.some((key) => key.endsWith(suffix))
    const matches = (expression: RE2JS): boolean =>
      path.some((key) => expression.matcher(key).find())
    let encrypted = true
    if (unencryptedSuffix !== undefined && ends(unencryptedSuffix)) encrypted = false
    if (encryptedSuffix !== undefined) encrypted = ends(encryptedSuffix)
    if (withoutIt !== undefined && matches(withoutIt)) encrypted = false
    if (withIt !== undefined) encrypted = matches(withIt)
    return encrypted
  }
}

async function compiled(pattern: string | undefined): Promise<RE2JS | undefined> {
  if (pattern === undefined) return undefined
  const { RE2JS } = await import('re2js')
  try {
    return RE2JS.compile(pattern)
  } catch (error) {
    throw new TsstackError('INVALID_ARGUMENT', 'SOPS: cannot read an expression of its notes', {
      cause: error,
    })
  }
}

interface Decryption {
  readonly key: Buffer
  readonly metadata: SopsMetadata
  readonly isEncrypted: Selector
}

/** @throws {PERMISSION_DENIED} */
function decryptLeaves(
  leaves: readonly SopsLeaf[],
  { key, metadata, isEncrypted }: Decryption,
): void {
  const { mac, lastModified, macOnlyEncrypted } = metadata
  const hash = createHash('sha512')
  if (macOnlyEncrypted) hash.update(Buffer.from(ONLY_ENCRYPTED, 'hex'))
  for (const { path, value, set } of leaves) {
    const encrypted = isEncrypted(path)
    const plain = encrypted ? decryptValue(String(value), key, `${path.join(':')}:`) : value
    if (encrypted) set(plain)
    if (encrypted || !macOnlyEncrypted) hash.update(textOfValue(plain))
  }
  if (decryptValue(mac, key, lastModified) === hash.digest('hex').toUpperCase()) return
  throw new TsstackError('PERMISSION_DENIED', 'SOPS: it was changed since it was encrypted', {
    hint: 'Edit it by sops, which writes the message authentication code anew',
  })
}
