/**
 * Reads a tar archive as a stream: ustar, pax, GNU long names. Sparse and multi-volume archives are refused: layers
 * have none. Archives come from anywhere, so every number is bounded, and nothing is kept beyond one entry's header.
 */
import { isUtf8 } from 'node:buffer'
import type { ByteSource } from './byte-source.ts'
import {
  badArchive,
  parseHeader,
  parsePaxRecords,
  TAR_BLOCK,
  type RawHeader,
} from './tar-header.ts'

export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'

export interface TarEntry {
  /** As written; neither cleaned nor safe. */
  readonly path: string
  readonly type: TarEntryType
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Seconds since the epoch, with fractions. */
  readonly mtime: number
  /** Bytes of content. */
  readonly size: number
  /** Target of a symlink or hard link; else ''. */
  readonly link: string
  readonly major: number
  readonly minor: number
  readonly xattrs: ReadonlyMap<string, Buffer>
  /** Where the content begins in the archive. */
  readonly offset: number
  /** The content, if all of it is at hand; valid until the next entry. Else `content` gives it. */
  readonly contentAtHand: () => Buffer | undefined
  /** The content; what is left of it is skipped with the next entry. A chunk is valid until the next one. */
  readonly content: () => AsyncGenerator<Buffer>
}

export interface TarLimits {
  readonly maxEntries: number
  /** Bytes of all contents. */
  readonly maxBytes: number
}

export const DEFAULT_TAR_LIMITS: TarLimits = { maxEntries: 1_000_000, maxBytes: 64 * 2 ** 30 }

const MAX_METADATA = 1 << 20
const MAX_PATH = 4095
const MAX_ID = 0xffff_fffe
const XATTR_PREFIX = 'SCHILY.xattr.'

const TYPES: Readonly<Record<string, TarEntryType>> = {
  ...{ '0': 'file', '7': 'file', '1': 'hardlink', '2': 'symlink' },
  ...{ '3': 'char', '4': 'block', '5': 'directory', '6': 'fifo' },
}

function decodePath(bytes: Buffer, what: string): string {
  if (!isUtf8(bytes))
    throw badArchive(`${what} "${bytes.toString('latin1').slice(0, 100)}" is not UTF-8`)
  const text = bytes.toString('utf8')
  if (bytes.length > MAX_PATH) throw badArchive(`${what} is longer than ${MAX_PATH} bytes`)
  if (text.includes('\0')) throw badArchive(`${what} contains a NUL`)
  return text
}

function paxNumber(value: Buffer | undefined, otherwise: number): number {
  if (value === undefined || value.length === 0) return otherwise
  const text = value.toString('latin1')
  if (!/^-?[0-9]{1,16}(?:\.[0-9]*)?$/.test(text))
    throw badArchive('a number of a pax header is malformed')
  return Number(text)
}

function checkId(id: number, what: string): number {
  if (!Number.isInteger(id) || id < 0 || id > MAX_ID)
    throw badArchive(`${what} of an entry is out of range`)
  return id
}

const NONE: ReadonlyMap<string, Buffer> = new Map()

function xattrsOf(pax: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> {
  if (pax.size === 0) return NONE
  const found = [...pax].filter(([key]) => key.startsWith(XATTR_PREFIX))
  return new Map(found.map(([key, value]) => [key.slice(XATTR_PREFIX.length), value]))
}

/** Long names and pax records that were read for the entry to come. */
interface Pending {
  name?: Buffer
  link?: Buffer
  pax: Map<string, Buffer>
}

type EntryHeader = Omit<TarEntry, 'offset' | 'content' | 'contentAtHand'>

function isSparse(flag: string, pax: ReadonlyMap<string, Buffer>): boolean {
  return (
    flag === 'S' || (pax.size > 0 && [...pax.keys()].some((key) => key.startsWith('GNU.sparse.')))
  )
}

function combine(raw: RawHeader, { name, link, pax }: Pending): EntryHeader {
  if (isSparse(raw.flag, pax)) throw badArchive('sparse files are not supported')
  const written = TYPES[raw.flag]
  if (written === undefined) throw badArchive(`entry type "${raw.flag}" is not supported`)
  const path = decodePath(pax.get('path') ?? name ?? raw.name, 'name of an entry')
  const type = written === 'file' && path.endsWith('/') ? 'directory' : written // before POSIX
  const size = paxNumber(pax.get('size'), raw.size)
  if (!Number.isSafeInteger(size) || size < 0) throw badArchive(`size of "${path}" is out of range`)
  return {
    path,
    type,
    mode: raw.mode,
    uid: checkId(paxNumber(pax.get('uid'), raw.uid), 'uid'),
    gid: checkId(paxNumber(pax.get('gid'), raw.gid), 'gid'),
    mtime: paxNumber(pax.get('mtime'), raw.mtime),
    size: type === 'file' ? size : 0, // other types have no content, whatever the field says
    link: decodePath(pax.get('linkpath') ?? link ?? raw.link, 'link of an entry'),
    major: raw.major,
    minor: raw.minor,
    xattrs: xattrsOf(pax),
  }
}

async function readMetadata(source: ByteSource, size: number): Promise<Buffer> {
  if (size > MAX_METADATA || size < 0)
    throw badArchive(`a header is larger than ${MAX_METADATA} bytes`)
  const bytes = Buffer.from(await source.read(size))
  if (bytes.length < size || !(await source.skip(padding(size))))
    throw badArchive('it is truncated')
  return bytes
}

function padding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK
}

function withoutNul(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0)
  return end < 0 ? bytes : bytes.subarray(0, end)
}

function addRecords(
  into: Map<string, Buffer>,
  bytes: Buffer,
  isWanted: (key: string) => boolean,
): void {
  for (const [key, value] of parsePaxRecords(bytes)) if (isWanted(key)) into.set(key, value)
}

/** A path or size for every entry makes no sense. */
const GLOBAL_KEYS = new Set(['mtime', 'uid', 'gid'])

/** Reads headers up to the next one that is an entry; undefined at the end of the archive. */
async function nextHeader(
  source: ByteSource,
  globals: Map<string, Buffer>,
): Promise<EntryHeader | undefined> {
  const pending: Pending = { pax: new Map(globals) }
  for (let extensions = 0; extensions < 16; extensions++) {
    const block = source.atHand(TAR_BLOCK) ?? (await source.read(TAR_BLOCK))
    if (block.length === 0) return undefined // no blocks of zeros: accepted, as every tar does
    if (block.length < TAR_BLOCK) throw badArchive('it is truncated')
    if (block[0] === 0 && block.every((byte) => byte === 0)) return undefined
    const raw = parseHeader(block)
    switch (raw.flag) {
      case 'x':
        addRecords(pending.pax, await readMetadata(source, raw.size), () => true)
        break
      case 'g':
        addRecords(globals, await readMetadata(source, raw.size), (key) => GLOBAL_KEYS.has(key))
        break
      case 'L':
        pending.name = withoutNul(await readMetadata(source, raw.size))
        break
      case 'K':
        pending.link = withoutNul(await readMetadata(source, raw.size))
        break
      case 'V': // GNU's volume label
        break
      default:
        return combine(raw, pending)
    }
  }
  throw badArchive('an entry has too many extension headers')
}

/**
 * The entries of an archive, in order.
 * @throws {INVALID_ARGUMENT} damaged, truncated, beyond a limit, or of a form that is not supported
 */
export async function* readTar(
  source: ByteSource,
  limits = DEFAULT_TAR_LIMITS,
): AsyncGenerator<TarEntry> {
  const globals = new Map<string, Buffer>()
  let totalBytes = 0
  for (let entries = 1; ; entries++) {
    const header = await nextHeader(source, globals)
    if (header === undefined) return
    if (entries > limits.maxEntries)
      throw badArchive(`it has more than ${limits.maxEntries} entries`)
    totalBytes += header.size
    if (totalBytes > limits.maxBytes)
      throw badArchive(`it holds more than ${limits.maxBytes} bytes`)
    let left = header.size
    const content = async function* (): AsyncGenerator<Buffer> {
      while (left > 0) {
        const chunk = await source.take(left)
        if (chunk === undefined) throw badArchive('it is truncated')
        left -= chunk.length
        yield chunk
      }
    }
    const contentAtHand = (): Buffer | undefined => {
      const bytes = source.atHand(left)
      if (bytes !== undefined) left = 0
      return bytes
    }
    yield { ...header, offset: source.position(), content, contentAtHand }
    const rest = left + padding(header.size)
    if (source.atHand(rest) === undefined && !(await source.skip(rest)))
      throw badArchive('it is truncated')
  }
}
