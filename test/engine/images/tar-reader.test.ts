import { expect, test } from 'vitest'
import { sourceFromChunks } from '../../../src/engine/images/byte-source.ts'
import type { LayerEntry } from '../../../src/engine/images/layer-entry.ts'
import { readTar, type TarLimits } from '../../../src/engine/images/tar-reader.ts'
import { TAR_END, tarHeader, tarPadding } from '../../../src/engine/images/tar-writer.ts'
import { inChunks, tarOf, type HandMadeEntry } from './tar-archive.ts'

interface Read {
  readonly path: string
  readonly type: string
  readonly content: string
}

async function read(bytes: Buffer, limits?: TarLimits, chunk = 1000): Promise<Read[]> {
  const found: Read[] = []
  for await (const entry of readTar(sourceFromChunks(inChunks(bytes, chunk)), limits)) {
    const parts: Buffer[] = []
    for await (const part of entry.content()) parts.push(Buffer.from(part))
    found.push({ path: entry.path, type: entry.type, content: Buffer.concat(parts).toString() })
  }
  return found
}

test.each([1, 511, 512, 513, 100_000])(
  'readTar() reads entries from chunks of %i bytes',
  async (chunk) => {
    const bytes = tarOf([
      { path: 'd/', type: '5' },
      { path: 'd/f', content: 'x'.repeat(513) },
      { path: 'l', type: '2', link: 'd/f' },
      { path: 'e', content: '' },
    ])
    expect(await read(bytes, undefined, chunk)).toEqual([
      { path: 'd/', type: 'directory', content: '' },
      { path: 'd/f', type: 'file', content: 'x'.repeat(513) },
      { path: 'l', type: 'symlink', content: '' },
      { path: 'e', type: 'file', content: '' },
    ])
  },
)

test('readTar() skips content that nobody reads', async () => {
  const paths: string[] = []
  const bytes = tarOf([
    { path: 'a', content: 'x'.repeat(5000) },
    { path: 'b', content: 'y' },
  ])
  for await (const entry of readTar(sourceFromChunks(inChunks(bytes)))) paths.push(entry.path)
  expect(paths).toEqual(['a', 'b'])
})

test('readTar() takes long names from pax and GNU headers', async () => {
  const long = `${'n'.repeat(200)}/${'m'.repeat(60)}`
  const gnu: HandMadeEntry[] = [
    { path: '././@LongLink', type: 'L', content: `${long}\0` },
    { path: 'cut' },
  ]
  expect(await read(tarOf(gnu))).toMatchObject([{ path: long }])
  expect(await read(tarOf([{ path: 'cut', pax: { path: long } }]))).toMatchObject([{ path: long }])
})

test('readTar() reads what tarHeader() writes', async () => {
  const attributes = { mode: 0o4755, uid: 3_000_000, gid: 5, mtime: 42 }
  const content = Buffer.from('hello')
  const entries: LayerEntry[] = [
    { ...attributes, type: 'directory', path: '' },
    { ...attributes, type: 'directory', path: 'ü'.repeat(80) },
    {
      ...attributes,
      type: 'content',
      path: 'f'.repeat(150),
      content,
      xattrs: [['security.capability', Buffer.from([0, 1])]],
    },
    { ...attributes, type: 'symlink', path: 's', target: 't'.repeat(150) },
    { ...attributes, type: 'hardlink', path: 'h', target: 's' },
  ]
  const parts = entries.map((entry) =>
    entry.type === 'content'
      ? Buffer.concat([tarHeader(entry), entry.content, tarPadding(entry.content.length)])
      : tarHeader(entry),
  )
  const found: unknown[] = []
  for await (const entry of readTar(
    sourceFromChunks(inChunks(Buffer.concat([...parts, TAR_END]))),
  )) {
    const { path, type, link, uid, gid, mode, mtime, size } = entry
    found.push({ path, type, link, uid, gid, mode, mtime, size, xattrs: [...entry.xattrs] })
  }
  const common = { ...attributes, size: 0, xattrs: [], link: '' }
  expect(found).toEqual([
    { ...common, path: './', type: 'directory' },
    { ...common, path: `${'ü'.repeat(80)}/`, type: 'directory' },
    {
      ...common,
      path: 'f'.repeat(150),
      type: 'file',
      size: 5,
      xattrs: [['security.capability', Buffer.from([0, 1])]],
    },
    { ...common, path: 's', type: 'symlink', link: 't'.repeat(150) },
    { ...common, path: 'h', type: 'hardlink', link: 's' },
  ])
})

test.each<[string, Buffer, string]>([
  ['a wrong checksum', tarOf([{ path: 'a', checksum: '000001\0 ' }]), 'checksum'],
  ['a truncated header', tarOf([{ path: 'a' }], { end: false }).subarray(0, 300), 'truncated'],
  [
    'truncated content',
    tarOf([{ path: 'a', content: 'x'.repeat(2000) }], { end: false }).subarray(0, 1024),
    'truncated',
  ],
  ['a huge declared size', tarOf([{ path: 'a', size: 2 ** 50 }]), 'bytes'],
  ['a name that is not UTF-8', tarOf([{ path: Buffer.from([0x61, 0xff, 0xfe]) }]), 'UTF-8'],
  ['a name that is too long', tarOf([{ path: 'a', pax: { path: 'x'.repeat(5000) } }]), 'longer'],
  ['a NUL in a pax path', tarOf([{ path: 'a', pax: { path: 'x\0y' } }]), 'NUL'],
  ['a pax header that is too large', tarOf([{ path: 'a', type: 'x', size: 2 ** 24 }]), 'larger'],
  ['a negative size in pax', tarOf([{ path: 'a', pax: { size: '-5' } }]), 'range'],
  ['a pax number that is none', tarOf([{ path: 'a', pax: { uid: 'root' } }]), 'malformed'],
  ['an id out of range', tarOf([{ path: 'a', pax: { uid: '4294967295' } }]), 'range'],
  ['GNU sparse files', tarOf([{ path: 'a', type: 'S' }]), 'sparse'],
  ['pax sparse files', tarOf([{ path: 'a', pax: { 'GNU.sparse.major': '1' } }]), 'sparse'],
  ['unknown types', tarOf([{ path: 'a', type: 'Q' }]), 'type "Q"'],
  [
    'endless extension headers',
    tarOf(Array<HandMadeEntry>(20).fill({ path: 'v', type: 'V' })),
    'too many',
  ],
  [
    'malformed pax records',
    tarOf([{ path: 'p', type: 'x', content: '99 a=b\n' }, { path: 'a' }]),
    'malformed',
  ],
])('readTar() refuses %s', async (_, bytes, state) => {
  await expect(read(bytes)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining(state) as string,
  })
})

test('readTar() refuses more entries or bytes than the limits', async () => {
  const bytes = tarOf([
    { path: 'a', content: 'xx' },
    { path: 'b', content: 'yy' },
  ])
  await expect(read(bytes, { maxEntries: 1, maxBytes: 100 })).rejects.toThrow('more than 1 entries')
  await expect(read(bytes, { maxEntries: 10, maxBytes: 3 })).rejects.toThrow('more than 3 bytes')
})
