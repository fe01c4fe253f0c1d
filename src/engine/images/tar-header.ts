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

function cBytes(field: Buffer): Buffer {
  const end = field.indexOf(0)
  return end < 0 ? field : field.subarray(0, end)
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

function readNumber(field: Buffer, what: string): number {
  if (((field[0] ?? 0) & 0x80) !== 0) {
    const value = base256(field)
    if (!Number.isSafeInteger(value)) throw badArchive(`${what} of an entry is out of range`)
    return value
  }
  const text = field
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .replace(/^ +/, '')
  if (text === '') return 0
  if (!/^[0-7]+$/.test(text)) throw badArchive(`${what} of an entry is not a number`)
  return parseInt(text, 8)
}

/** The sum over the block with its own field as spaces; some old tars added signed bytes. */
function isIntact(block: Buffer): boolean {
  let unsigned = 0
  let signed = 0
  for (let index = 0; index < TAR_BLOCK; index++) {
    const byte = index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0)
    unsigned += byte
    signed += byte < 128 ? byte : byte - 256
  }
  const stored = readNumber(block.subarray(148, 156), 'checksum')
  return stored === unsigned || stored === signed
}

/** @throws {INVALID_ARGUMENT} */
export function parseHeader(block: Buffer): RawHeader {
  if (!isIntact(block)) throw badArchive('checksum of a header is wrong')
  const flag = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0)
  // Only POSIX's form has a prefix; in GNU's, times are in its place.
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = isPosix ? cBytes(block.subarray(345, 500)) : Buffer.alloc(0)
  const name = cBytes(block.subarray(0, 100))
  return {
    name: Buffer.from(prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name])),
    link: Buffer.from(cBytes(block.subarray(157, 257))),
    flag,
    mode: readNumber(block.subarray(100, 108), 'mode') & 0o7777,
    uid: readNumber(block.subarray(108, 116), 'uid'),
    gid: readNumber(block.subarray(116, 124), 'gid'),
    size: readNumber(block.subarray(124, 136), 'size'),
    mtime: readNumber(block.subarray(136, 148), 'mtime'),
    major: flag === '3' || flag === '4' ? readNumber(block.subarray(329, 337), 'device') : 0,
    minor: flag === '3' || flag === '4' ? readNumber(block.subarray(337, 345), 'device') : 0,
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
