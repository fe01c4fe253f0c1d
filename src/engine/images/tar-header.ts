/**
 * One block of a tar archive, and the records of a pax header: ustar and pax (IEEE Std 1003.1, pax), GNU tar's base-256
 * numbers (GNU tar manual, "Basic Tar Format"). Pure.
 */
import { TsstackError } from '../../errors.ts'

export interface RawHeader {
  readonly name: Buffer
  readonly link: Buffer
  /** The type flag's byte as a character; NUL is `0`. */
  readonly flag: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  readonly major: number
  readonly minor: number
}

export const TAR_BLOCK = 512

/** What is wrong with an archive, in the error grammar of the house. */
export function badArchive(state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot read archive: ${state}`)
}

/** A field of bytes up to a NUL, as a copy. */
function textField(block: Buffer, at: number, length: number): Buffer {
  let end = at
  while (end < at + length && block[end] !== 0) end++
  return Buffer.from(block.subarray(at, end))
}

function base256(field: Buffer): number {
  // The first bit is the mark, the second the sign (two's complement).
  const isNegative = ((field[0] ?? 0) & 0x40) !== 0
  let value = 0n
  for (const [index, byte] of field.entries()) {
    const bits = index === 0 ? byte & 0x7f : byte
    value = value * 256n + BigInt(bits)
  }
  if (isNegative) value -= 1n << BigInt(field.length * 8 - 1)
  return Number(value)
}

const [SPACE, ZERO, SEVEN] = [0x20, 0x30, 0x37]

/** Octal digits, with spaces before and spaces or NULs behind; or base 256. Nothing is allocated: headers are many. */
function readNumber(block: Buffer, at: number, length: number, what: string): number {
  const end = at + length
  if (((block[at] ?? 0) & 0x80) !== 0) {
    const value = base256(block.subarray(at, end))
    if (!Number.isSafeInteger(value)) throw badArchive(`${what} of an entry is out of range`)
    return value
  }
  let next = at
  let value = 0
  while (next < end && block[next] === SPACE) next++
  for (; next < end; next++) {
    const byte = block[next] ?? 0
    if (byte < ZERO || byte > SEVEN) break
    value = value * 8 + byte - ZERO
  }
  for (; next < end; next++)
    if (block[next] !== SPACE && block[next] !== 0)
      throw badArchive(`${what} of an entry is not a number`)
  return value
}

const [CHECKSUM, CHECKSUM_BYTES] = [148, 8]

/** The sum over the block with its own field as spaces; some old tars added signed bytes. */
function isIntact(block: Buffer): boolean {
  let unsigned = CHECKSUM_BYTES * SPACE
  let negative = 0
  for (let index = 0; index < TAR_BLOCK; index++) {
    if (index === CHECKSUM) index += CHECKSUM_BYTES
    const byte = block[index] ?? 0
    unsigned += byte
    negative += byte >> 7
  }
  const stored = readNumber(block, CHECKSUM, CHECKSUM_BYTES, 'checksum')
  return stored === unsigned || stored === unsigned - negative * 256
}

/** "ustar" and a NUL: POSIX's form. In GNU's a space follows. */
const POSIX_MAGIC = Buffer.from('ustar\0')

function nameOf(block: Buffer): Buffer {
  const name = textField(block, 0, 100)
  // Only POSIX's form has a prefix; in GNU's, times are in its place.
  const hasPrefix = block[345] !== 0 && block.compare(POSIX_MAGIC, 0, 6, 257, 263) === 0
  return hasPrefix ? Buffer.concat([textField(block, 345, 155), Buffer.from('/'), name]) : name
}

/** @throws {INVALID_ARGUMENT} */
export function parseHeader(block: Buffer): RawHeader {
  if (!isIntact(block)) throw badArchive('checksum of a header is wrong')
  const flag = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0)
  const isDevice = flag === '3' || flag === '4'
  return {
    name: nameOf(block),
    link: textField(block, 157, 100),
    flag,
    mode: readNumber(block, 100, 8, 'mode') & 0o7777,
    uid: readNumber(block, 108, 8, 'uid'),
    gid: readNumber(block, 116, 8, 'gid'),
    size: readNumber(block, 124, 12, 'size'),
    mtime: readNumber(block, 136, 12, 'mtime'),
    major: isDevice ? readNumber(block, 329, 8, 'device') : 0,
    minor: isDevice ? readNumber(block, 337, 8, 'device') : 0,
  }
}

/**
 * Records of a pax header: `length key=value\n`.
 * @throws {INVALID_ARGUMENT}
 */
export function parsePaxRecords(bytes: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at)
    const digits = bytes.toString('latin1', at, Math.min(Math.max(space, at), at + 12))
    const length = /^[1-9][0-9]*$/.test(digits) ? Number(digits) : 0
    const end = at + length
    const equals = bytes.indexOf(0x3d, space)
    const isWhole = space > 0 && equals > space + 1 && equals < end && end <= bytes.length
    if (!isWhole || bytes[end - 1] !== 0x0a) throw badArchive('pax header is malformed')
    records.set(bytes.toString('utf8', space + 1, equals), bytes.subarray(equals + 1, end - 1))
    at = end
  }
  return records
}
