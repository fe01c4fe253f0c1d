/**
 * Tar headers for layers: POSIX ustar, with a pax header in front where a value doesn't fit (IEEE Std 1003.1, pax,
 * "ustar Interchange Format"). Deterministic: no names of owners, no times but the entry's own.
 */
import type { LayerEntry } from './layer-entry.ts'

const BLOCK = 512
const MAX_OCTAL_ID = 0o7777777
const MAX_OCTAL_SIZE = 0o77777777777

const TYPE_FLAGS = {
  ...{ file: '0', content: '0', hardlink: '1', symlink: '2', directory: '5', fifo: '6' },
  ...{ whiteout: '0', opaque: '0' },
} as const

/** Two blocks of zeros: the end of an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK)

const ZEROS = Buffer.alloc(BLOCK)

/** The zeros that fill the last block of `size` bytes. */
export function tarPadding(size: number): Buffer {
  return ZEROS.subarray(0, (BLOCK - (size % BLOCK)) % BLOCK)
}

/** The bytes of content that follow an entry's header. */
export function tarSize(entry: LayerEntry): number {
  if (entry.type === 'file') return entry.size
  return entry.type === 'content' ? entry.content.length : 0
}

function octal(block: Buffer, value: number, field: readonly [at: number, length: number]): void {
  const [at, length] = field
  block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
}

interface HeaderFields {
  readonly name: Buffer
  readonly link: Buffer
  readonly type: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
}

function headerBlock(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(BLOCK)
  fields.name.copy(block, 0, 0, 100)
  octal(block, fields.mode, [100, 8])
  octal(block, fields.uid <= MAX_OCTAL_ID ? fields.uid : 0, [108, 8])
  octal(block, fields.gid <= MAX_OCTAL_ID ? fields.gid : 0, [116, 8])
  octal(block, fields.size <= MAX_OCTAL_SIZE ? fields.size : 0, [124, 12])
  octal(block, Math.max(fields.mtime, 0), [136, 12])
  block.fill(' ', 148, 156)
  block.write(fields.type, 156, 'latin1')
  fields.link.copy(block, 157, 0, 100)
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** `length key=value\n`, where the length counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length + 1
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function paxRecords(entry: LayerEntry, fields: HeaderFields): Buffer {
  const isPlain = (bytes: Buffer): boolean =>
    bytes.length <= 100 && bytes.every((byte) => byte < 0x80)
  const number = (value: number): Buffer => Buffer.from(String(value))
  return Buffer.concat([
    ...(isPlain(fields.name) ? [] : [paxRecord('path', fields.name)]),
    ...(isPlain(fields.link) ? [] : [paxRecord('linkpath', fields.link)]),
    ...(fields.size <= MAX_OCTAL_SIZE ? [] : [paxRecord('size', number(fields.size))]),
    ...(fields.uid <= MAX_OCTAL_ID ? [] : [paxRecord('uid', number(fields.uid))]),
    ...(fields.gid <= MAX_OCTAL_ID ? [] : [paxRecord('gid', number(fields.gid))]),
    ...(fields.mtime >= 0 ? [] : [paxRecord('mtime', number(fields.mtime))]),
    ...(entry.xattrs ?? []).map(([name, value]) => paxRecord(`SCHILY.xattr.${name}`, value)),
  ])
}

/** As the archive has it: what is hidden is told by names (OCI layer.md, "Whiteouts"). */
function archiveName({ type, path }: LayerEntry): string {
  if (type === 'directory') return path === '' ? './' : `${path}/`
  if (type === 'opaque') return path === '' ? '.wh..wh..opq' : `${path}/.wh..wh..opq`
  if (type !== 'whiteout') return path
  const slash = path.lastIndexOf('/') + 1
  return `${path.slice(0, slash)}.wh.${path.slice(slash)}`
}

/** The header of an entry; its content and `tarPadding` follow. */
export function tarHeader(entry: LayerEntry): Buffer {
  const link = entry.type === 'symlink' || entry.type === 'hardlink' ? entry.target : ''
  const fields: HeaderFields = {
    name: Buffer.from(archiveName(entry)),
    link: Buffer.from(link),
    type: TYPE_FLAGS[entry.type],
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: tarSize(entry),
    mtime: entry.mtime,
  }
  const block = headerBlock(fields)
  const records = paxRecords(entry, fields)
  if (records.length === 0) return block
  const name = Buffer.from('PaxHeaders')
  const pax = headerBlock({
    ...{ name, link: Buffer.alloc(0), type: 'x', mode: 0o644, uid: 0, gid: 0 },
    ...{ size: records.length, mtime: 0 },
  })
  return Buffer.concat([pax, records, tarPadding(records.length), block])
}
