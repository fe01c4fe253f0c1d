/** What SOPS notes beside what it encrypts: who can decrypt, which values are encrypted, and the code over all of them. Pure. */
import { TsstackError } from '../../errors.ts'

export interface SopsMetadata {
  /** Encrypted. */
  readonly mac: string
  /** RFC 3339; the additional data of `mac`. */
  readonly lastModified: string
  /** The data key, encrypted by age(1) for each of its recipients. */
  readonly ageKeys: readonly string[]
  readonly macOnlyEncrypted: boolean
  readonly rules: EncryptionRules
}

/** Which values are encrypted, by any key on the way to them. */
export interface EncryptionRules {
  readonly unencryptedSuffix?: string
  readonly encryptedSuffix?: string
  readonly unencryptedRegex?: string
  readonly encryptedRegex?: string
}

type Notes = Readonly<Record<string, unknown>>

/** What is not read: each would need a service, or a key that the daemon does not have. */
const OTHER_KEYS = ['pgp', 'kms', 'gcp_kms', 'azure_kv', 'hc_vault', 'hckms', 'barbican'] as const
const COMMENT_RULES = ['encrypted_comment_regex', 'unencrypted_comment_regex'] as const
/** Each costs a process; a team has fewer. */
const MAX_RECIPIENTS = 32

/** @throws {FAILED_PRECONDITION} {UNIMPLEMENTED} it can't be decrypted here */
export function readMetadata(notes: Notes): SopsMetadata {
  const text = (name: string): string | undefined => {
    const value = notes[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const [mac, lastModified] = [text('mac'), text('lastmodified')]
  if (mac === undefined || lastModified === undefined)
    throw new TsstackError('FAILED_PRECONDITION', 'SOPS: it has no message authentication code')
  const unsupported = [
    ...(isPresent(notes['key_groups']) ? ['several key groups'] : []),
    ...COMMENT_RULES.filter((name) => text(name) !== undefined),
  ]
  if (unsupported.length > 0)
    throw new TsstackError('UNIMPLEMENTED', `SOPS: ${unsupported.join(', ')}: not supported`)
  return {
    mac,
    lastModified,
    ageKeys: ageKeysOf(notes),
    macOnlyEncrypted: [true, 'true'].includes(notes['mac_only_encrypted'] as string | boolean),
    rules: present({
      unencryptedSuffix: text('unencrypted_suffix'),
      encryptedSuffix: text('encrypted_suffix'),
      unencryptedRegex: text('unencrypted_regex'),
      encryptedRegex: text('encrypted_regex'),
    }),
  }
}

function isPresent(list: unknown): boolean {
  return Array.isArray(list) && list.length > 0
}

function ageKeysOf(notes: Notes): string[] {
  const age: unknown = notes['age']
  const keys = (Array.isArray(age) ? (age as unknown[]) : []).flatMap((entry) => {
    const enc: unknown = typeof entry === 'object' && entry !== null && 'enc' in entry && entry.enc
    return typeof enc === 'string' ? [enc] : []
  })
  if (keys.length > 0 && keys.length <= MAX_RECIPIENTS) return keys
  const others = OTHER_KEYS.filter((kind) => isPresent(notes[kind]))
  const state =
    keys.length > 0
      ? `more than ${String(MAX_RECIPIENTS)} recipients`
      : `no recipient of age${others.length === 0 ? '' : `, but ${others.join(', ')}`}`
  throw new TsstackError('FAILED_PRECONDITION', `SOPS: it has ${state}`, {
    hint: 'Add the public key of the source: sops --rotate --add-age age1… --in-place FILE',
  })
}

function present(
  rules: Readonly<Record<keyof EncryptionRules, string | undefined>>,
): EncryptionRules {
  return Object.fromEntries(Object.entries(rules).filter(([, value]) => value !== undefined))
}
