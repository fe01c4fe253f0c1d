/** Netlink attributes (type, length, value) as a tree of plain values; bytes out, bytes in (include/uapi/linux/netlink.h). */
import { TsstackError } from '../../errors.ts'

const NLA_F_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff
const HEADER_BYTES = 4
/** The length field has 16 bits. */
export const MAX_ATTRIBUTE_BYTES = 65_535

/** A value in bytes, or further attributes. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]]

/** An unsigned 8-bit value. */
export function u8(value: number): Uint8Array {
  return Uint8Array.of(value)
}

/** An unsigned 32-bit value in the host's byte order (little-endian on both architectures). */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
}

/** An unsigned 16-bit value in network byte order. */
export function be16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value)
}

/** An unsigned 32-bit value in network byte order. */
export function be32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}

/** A string with its final NUL. */
export function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`)
}

function aligned(length: number): number {
  return (length + 3) & ~3
}

function sizeOf(attribute: Attribute): number {
  const value = attribute[1]
  if (value instanceof Uint8Array) return HEADER_BYTES + value.length
  return HEADER_BYTES + attributesSize(value)
}

/** How many bytes the attributes take, padding included. */
export function attributesSize(attributes: readonly Attribute[]): number {
  let size = 0
  for (const attribute of attributes) size += aligned(sizeOf(attribute))
  return size
}

/**
 * Writes attributes into a zeroed buffer.
 * @returns the offset after the last one
 * @throws {INVALID_ARGUMENT} when an attribute is longer than its length field can tell
 */
export function writeAttributes(
  target: Buffer,
  start: number,
  attributes: readonly Attribute[],
): number {
  let at = start
  for (const [type, value] of attributes) {
    const header = at
    at += HEADER_BYTES
    const isLeaf = value instanceof Uint8Array
    if (isLeaf) {
      target.set(value, at)
      at += value.length
    } else {
      at = writeAttributes(target, at, value)
    }
    const length = at - header
    if (length > MAX_ATTRIBUTE_BYTES) {
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot encode netlink attribute ${type}: ${length} bytes are too many`,
      )
    }
    target.writeUInt16LE(length, header)
    target.writeUInt16LE(isLeaf ? type : type | NLA_F_NESTED, header + 2)
    at = aligned(at)
  }
  return at
}

/** The attributes of one level by type; of a type that comes twice, the last. Malformed rests are ignored. */
export function readAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (const [type, value] of listAttributes(bytes)) found.set(type, value)
  return found
}

/** One attribute of a level, the first of its type, without a look into the others: for long lists. */
export function findAttribute(bytes: Buffer, type: number): Buffer | undefined {
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const length = bytes.readUInt16LE(at)
    if (length < HEADER_BYTES || at + length > bytes.length) return undefined
    if ((bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK) === type)
      return bytes.subarray(at + HEADER_BYTES, at + length)
    at += aligned(length)
  }
  return undefined
}

/** The attributes of one level in order. Malformed rests are ignored. */
export function listAttributes(bytes: Buffer): [type: number, value: Buffer][] {
  const found: [number, Buffer][] = []
  let at = 0
  while (at + HEADER_BYTES <= bytes.length) {
    const length = bytes.readUInt16LE(at)
    if (length < HEADER_BYTES || at + length > bytes.length) break
    found.push([
      bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK,
      bytes.subarray(at + HEADER_BYTES, at + length),
    ])
    at += aligned(length)
  }
  return found
}

/** The text of an attribute, without its final NUL. */
export function readText(value: Buffer | undefined): string {
  if (value === undefined) return ''
  const end = value.indexOf(0)
  return value.toString('utf8', 0, end === -1 ? value.length : end)
}
