/**
 * Reads from an ELF file what the dynamic loader would read: interpreter, needed libraries and search paths
 * (man 5 elf; System V ABI, chapter 5). Little-endian 64- and 32-bit files. Only headers and the dynamic section are
 * read, so a file of 100 MB costs a few kilobytes. Whatever is odd about a file is an undefined result: the files are
 * the host's, but a damaged one must not stop an image.
 */
import fs from 'node:fs'

export interface ElfFile {
  /** 32 or 64. */
  readonly bits: number
  /** e_machine: 62 is x86-64, 183 is AArch64. */
  readonly machine: number
  /** PT_INTERP: the dynamic loader. */
  readonly interpreter?: string
  /** DT_NEEDED, in order. */
  readonly needed: readonly string[]
  /** DT_RPATH, split at colons; ignored by the loader where there is a DT_RUNPATH. */
  readonly rpath: readonly string[]
  /** DT_RUNPATH, split at colons. */
  readonly runpath: readonly string[]
}

interface Segment {
  readonly type: number
  readonly offset: number
  readonly address: number
  readonly size: number
}

const PT_LOAD = 1
const PT_DYNAMIC = 2
const PT_INTERP = 3
const DT = { NEEDED: 1, STRTAB: 5, STRSZ: 10, RPATH: 15, RUNPATH: 29 } as const

const MAX_HEADER_BYTES = 65_536
const MAX_STRING_BYTES = 16 << 20

function readAt(fd: number, offset: number, length: number): Buffer | undefined {
  const buffer = Buffer.allocUnsafe(length)
  return fs.readSync(fd, buffer, 0, length, offset) === length ? buffer : undefined
}

/** The end of a C string that starts at `start`. */
function cString(buffer: Buffer, start: number): string | undefined {
  const end = buffer.indexOf(0, start)
  return start < 0 || start >= buffer.length || end < 0
    ? undefined
    : buffer.toString('utf8', start, end)
}

function word(buffer: Buffer, offset: number, wide: boolean): number {
  return wide ? Number(buffer.readBigUInt64LE(offset)) : buffer.readUInt32LE(offset)
}

function readSegments(fd: number, header: Buffer, wide: boolean): Segment[] | undefined {
  const offset = word(header, wide ? 32 : 28, wide)
  const entrySize = header.readUInt16LE(wide ? 54 : 42)
  const entries = header.readUInt16LE(wide ? 56 : 44)
  const bytes = entrySize * entries
  if (entrySize < (wide ? 56 : 32) || bytes > MAX_HEADER_BYTES) return undefined
  const table = readAt(fd, offset, bytes)
  if (table === undefined) return undefined
  return Array.from({ length: entries }, (_, index) => {
    const at = index * entrySize
    return {
      type: table.readUInt32LE(at),
      offset: word(table, at + (wide ? 8 : 4), wide),
      address: word(table, at + (wide ? 16 : 8), wide),
      size: word(table, at + (wide ? 32 : 16), wide),
    }
  })
}

/** The dynamic section as pairs of tag and value, to its DT_NULL. */
function readDynamic(fd: number, segment: Segment, wide: boolean): [number, number][] | undefined {
  if (segment.size > MAX_HEADER_BYTES) return undefined
  const bytes = readAt(fd, segment.offset, segment.size)
  if (bytes === undefined) return undefined
  const step = wide ? 16 : 8
  const pairs: [number, number][] = []
  for (let at = 0; at + step <= bytes.length; at += step) {
    const tag = word(bytes, at, wide)
    if (tag === 0) break
    pairs.push([tag, word(bytes, at + step / 2, wide)])
  }
  return pairs
}

function readStrings(
  fd: number,
  pairs: [number, number][],
  segments: Segment[],
): Buffer | undefined {
  const address = pairs.find(([tag]) => tag === DT.STRTAB)?.[1]
  const size = pairs.find(([tag]) => tag === DT.STRSZ)?.[1]
  if (address === undefined || size === undefined || size > MAX_STRING_BYTES) return undefined
  const home = segments.find(
    (segment) =>
      segment.type === PT_LOAD &&
      address >= segment.address &&
      address < segment.address + segment.size,
  )
  return home === undefined ? undefined : readAt(fd, home.offset + address - home.address, size)
}

function readInterpreter(fd: number, segments: Segment[]): string | undefined {
  const segment = segments.find(({ type }) => type === PT_INTERP)
  if (segment === undefined || segment.size > 4096) return undefined
  const bytes = readAt(fd, segment.offset, segment.size)
  return bytes === undefined ? undefined : cString(bytes, 0)
}

function parse(fd: number): ElfFile | undefined {
  const header = readAt(fd, 0, 64)
  if (header?.readUInt32BE(0) !== 0x7f454c46) return undefined
  const [, , , , elfClass, data] = header
  if (data !== 1 || (elfClass !== 1 && elfClass !== 2)) return undefined
  const wide = elfClass === 2
  const segments = readSegments(fd, header, wide)
  if (segments === undefined) return undefined
  const interpreter = readInterpreter(fd, segments)
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
  const pairs = (dynamic === undefined ? undefined : readDynamic(fd, dynamic, wide)) ?? []
  const strings = readStrings(fd, pairs, segments)
  const valuesOf = (wanted: number): string[] =>
    pairs.flatMap(([tag, value]) => {
      const found = tag === wanted && strings !== undefined ? cString(strings, value) : undefined
      return found === undefined ? [] : [found]
    })
  const pathsOf = (tag: number): string[] =>
    valuesOf(tag).flatMap((list) => list.split(':').filter((path) => path !== ''))
  return {
    bits: wide ? 64 : 32,
    machine: header.readUInt16LE(18),
    ...(interpreter === undefined ? {} : { interpreter }),
    needed: valuesOf(DT.NEEDED),
    rpath: pathsOf(DT.RPATH),
    runpath: pathsOf(DT.RUNPATH),
  }
}

/** Reads an open file; undefined if it is not a (well-formed, little-endian) ELF file. */
export function readElf(fd: number): ElfFile | undefined {
  try {
    return parse(fd)
  } catch (error) {
    if (error instanceof RangeError) return undefined // an offset beyond what fs or Buffer can express
    throw error
  }
}
