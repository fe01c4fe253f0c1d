/**
 * One value as SOPS encrypts it (https://github.com/getsops/sops, aes/cipher.go): `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`,
 * with the path of the value as additional data, so that none can be moved to another place. Pure.
 */
import { isUtf8 } from 'node:buffer'
import { createDecipheriv } from 'node:crypto'
import { TsstackError } from '../../errors.ts'

/** Bytes: what is no text. */
export type SopsValue = string | bigint | number | boolean | Buffer

const FORM =
  /^ENC\[AES256_GCM,data:([\w+/=]*),iv:([\w+/=]+),tag:([\w+/=]+),type:(str|int|float|bool|bytes|comment)\]$/
/** A shorter one would be easier to forge. */
const TAG_BYTES = 16

/**
 * @param key - 32 bytes
 * @param about - the additional data: the keys on the way to the value, each with a colon
 * @throws {PERMISSION_DENIED} another key, another place, or changed
 */
export function decryptValue(text: string, key: Uint8Array, about: string): SopsValue {
  // It has nothing to hide, and is left as it is.
  if (text === '') return ''
  const [, data = '', iv = '', tag = '', type = ''] = FORM.exec(text) ?? []
  if (type === '') throw refused(about, 'it should be encrypted, and is not')
  const bytes = open({ key, about, data, iv, tag })
  if (!isUtf8(bytes)) return bytes
  const plain = bytes.toString()
  if (type === 'int' && !/^-?\d{1,40}$/.test(plain)) throw refused(about, 'it is no number')
  return typed(plain, type)
}

interface Sealed {
  readonly key: Uint8Array
  readonly about: string
  readonly data: string
  readonly iv: string
  readonly tag: string
}

function open({ key, about, data, iv, tag }: Sealed): Buffer {
  const bytes = (text: string): Buffer => Buffer.from(text, 'base64')
  if (bytes(tag).length !== TAG_BYTES) throw refused(about, 'its tag is no tag')
  try {
    const options = { authTagLength: TAG_BYTES }
    const decipher = createDecipheriv('aes-256-gcm', key, bytes(iv), options)
    decipher.setAAD(Buffer.from(about)).setAuthTag(bytes(tag))
    return Buffer.concat([decipher.update(bytes(data)), decipher.final()])
  } catch {
    throw refused(about, 'it was changed, moved, or encrypted by another key')
  }
}

function refused(about: string, state: string): TsstackError {
  const shown = about.replace(/:$/, '').replaceAll(':', '.')
  return new TsstackError('PERMISSION_DENIED', `SOPS: cannot decrypt "${shown}": ${state}`)
}

function typed(text: string, type: string): SopsValue {
  if (type === 'int') return BigInt(text)
  if (type === 'float') return Number(text)
  if (type === 'bool') return text.toLowerCase() === 'true'
  return text
}

/** A value as the message authentication code counts it: as Go prints it. */
export function textOfValue(value: SopsValue): string | Buffer {
  if (Buffer.isBuffer(value)) return value
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return typeof value === 'number' ? withoutExponent(value) : String(value)
}

/** As `strconv.FormatFloat(value, 'f', -1, 64)`. */
function withoutExponent(value: number): string {
  const [mantissa = '', exponent] = String(value).split('e')
  if (exponent === undefined) return mantissa
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)\.?(\d*)$/.exec(mantissa) ?? []
  const digits = whole + fraction
  const point = whole.length + Number(exponent)
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  return sign + digits.padEnd(point, '0')
}
