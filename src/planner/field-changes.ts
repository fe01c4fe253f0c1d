/** The readable difference between two configurations: field by field, short, and without secrets. */
import { compareText, ownValue } from './config-hash.ts'
import { fieldClass } from './field-classes.ts'
import type { FieldChange } from './plan.ts'

type Fields = Readonly<Record<string, string>>

/** Byte sizes: shown as `64m`. */
const BYTE_FIELDS =
  /^(mem_limit|mem_reservation|memswap_limit|shm_size|deploy\.resources\.\w+\.memory)$/
const SENSITIVE_NAME =
  /pass(wd|word|phrase)?|secret|token|credential|private|auth|api_?key|access_?key|(^|_)(key|pwd|pw)$/i
const CREDENTIALS_IN_URL = /([a-z][a-z0-9+.-]*:\/\/)[^/@\s"]*@/gi
/** `--password=x` in a command, `username=a,password=b` among the options of a mount. */
const CREDENTIALS_IN_OPTION = /\b((?:[\w-]*[-_])?(?:password|passwd|secret|token))=[^,"\s&]+/gi
/** Maps whose members have names of the user's own choice. */
const NAMED_MEMBER = /^(?:environment|build\.args|labels|annotations|logging\.options)\.(.+)$/
/** Stands in for a value that must not be shown. */
export const SENSITIVE = '(sensitive)'
const DIGEST = /(sha256:)?\b([0-9a-f]{12})[0-9a-f]{52}\b/g

/**
 * What differs between two sets of fields, sorted by field. Objects are compared member by member
 * (`environment.MODE`). Values are text for display: sizes in units, digests cut to 12 digits, and `(sensitive)` in
 * place of variables that look like credentials and of the content of secrets.
 */
export function fieldChanges(before: Fields, after: Fields): FieldChange[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort(compareText)
  const changes: FieldChange[] = []
  for (const key of keys) {
    const old = ownValue(before, key)
    const now = ownValue(after, key)
    if (old !== now) changes.push(...memberChanges(key, parse(old), parse(now)))
  }
  return changes
}

/** Only the changes that are made on the running container. */
export function inPlaceChanges(changes: readonly FieldChange[]): FieldChange[] {
  return changes.filter(({ field }) => fieldClass(field) === 'update')
}

/** Only the changes that need a new container. */
export function replacingChanges(changes: readonly FieldChange[]): FieldChange[] {
  return changes.filter(({ field }) => fieldClass(field) === 'replace')
}

/** `image changed`, `command and image changed`, `command, image and 3 more fields changed`. */
export function describeChanges(changes: readonly FieldChange[]): string {
  const names = changes.map(({ field }) => field)
  if (names.length === 0) return 'configuration changed'
  if (names.length === 1) {
    return names[0] === 'image.digest' ? 'image content changed' : `${names[0] ?? ''} changed`
  }
  if (names.length === 2) return `${names.join(' and ')} changed`
  if (names.length === 3) return `${names.slice(0, 2).join(', ')} and ${names[2] ?? ''} changed`
  return `${names.slice(0, 2).join(', ')} and ${names.length - 2} more fields changed`
}

function memberChanges(field: string, before: unknown, after: unknown): FieldChange[] {
  const old = before === undefined && isRecord(after) ? {} : before
  const now = after === undefined && isRecord(before) ? {} : after
  if (isRecord(old) && isRecord(now)) {
    const keys = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort(compareText)
    return keys
      .filter((key) => JSON.stringify(ownValue(old, key)) !== JSON.stringify(ownValue(now, key)))
      .flatMap((key) => memberChanges(`${field}.${key}`, ownValue(old, key), ownValue(now, key)))
  }
  return [{ field, before: displayValue(field, before), after: displayValue(field, after) }]
}

function displayValue(field: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (isSensitive(field)) return SENSITIVE
  if (BYTE_FIELDS.test(field) && typeof value === 'string') return JSON.stringify(byteText(value))
  return JSON.stringify(value)
    .replace(CREDENTIALS_IN_URL, '$1***@')
    .replace(CREDENTIALS_IN_OPTION, '$1=***')
    .replace(DIGEST, '$1$2')
}

/** Whether a variable of this name is likely to hold a credential. */
export function looksSensitive(name: string): boolean {
  return SENSITIVE_NAME.test(name)
}

/** A short secret could be found from the digest of its content by trial, so that is hidden too. */
function isSensitive(field: string): boolean {
  if (field.startsWith('secrets.')) return field.endsWith('.content')
  const name = NAMED_MEMBER.exec(field)?.[1]
  return name !== undefined && looksSensitive(name)
}

/** `67108864` as `64m`; what is no whole number of KiB stays as it is. */
function byteText(value: string): string {
  if (!/^[1-9]\d{3,17}$/.test(value)) return value
  let amount = BigInt(value)
  let unit = ''
  for (const next of ['k', 'm', 'g', 't']) {
    if (amount % 1024n !== 0n) break
    amount /= 1024n
    unit = next
  }
  return `${amount}${unit}`
}

function parse(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    // A record of another version: shown as it is.
    return text
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
