/** Tar files made by hand, so that they can be wrong in any way. */

export interface HandMadeEntry {
  readonly path: string | Buffer
  readonly type?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: number
  readonly link?: string
  readonly content?: string | Buffer
  /** What the header claims; the content's length when absent. */
  readonly size?: number
  readonly pax?: Readonly<Record<string, string | Buffer>>
  /** Written into the checksum's place instead of the right one. */
  readonly checksum?: string
  readonly device?: readonly [number, number]
}

function pad(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)])
}

function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')])
  let length = rest.length + 2
  while (String(length).length + rest.length !== length) length++
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function header(entry: HandMadeEntry, size: number): Buffer {
  const block = Buffer.alloc(512)
  const octal = (value: number, at: number, length: number): void => {
    block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
  }
  Buffer.from(entry.path).copy(block, 0, 0, 100)
  octal(entry.mode ?? 0o644, 100, 8)
  octal(entry.uid ?? 0, 108, 8)
  octal(entry.gid ?? 0, 116, 8)
  if (size < 8 ** 11) octal(size, 124, 12)
  else {
    block.writeBigUInt64BE(BigInt(size), 128)
    block[124] = 0x80
  }
  octal(entry.mtime ?? 1_000_000, 136, 12)
  block.write(entry.type ?? '0', 156, 'latin1')
  block.write(entry.link ?? '', 157)
  block.write('ustar\x0000', 257, 'latin1')
  octal(entry.device?.[0] ?? 0, 329, 8)
  octal(entry.device?.[1] ?? 0, 337, 8)
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(entry.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

function oneEntry(entry: HandMadeEntry): Buffer {
  const content = Buffer.from(entry.content ?? '')
  const records = Object.entries(entry.pax ?? {}).map(([key, value]) => paxRecord(key, value))
  const pax = Buffer.concat(records)
  const paxParts =
    pax.length === 0 ? [] : [header({ path: 'pax', type: 'x' }, pax.length), pad(pax)]
  return Buffer.concat([...paxParts, header(entry, entry.size ?? content.length), pad(content)])
}

/** An archive with its end, unless it shall have none. */
export function tarOf(entries: readonly HandMadeEntry[], { end = true } = {}): Buffer {
  return Buffer.concat([...entries.map(oneEntry), Buffer.alloc(end ? 1024 : 0)])
}

/** In pieces of `size` bytes, as a network would bring it. */
export async function* inChunks(bytes: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) {
    yield await Promise.resolve(bytes.subarray(at, at + size))
  }
}
