import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sourceFromChunks } from '../../../src/engine/images/byte-source.ts'
import { isOpaque, isWhiteout } from '../../../src/engine/images/confined-tree.ts'
import { unpackLayer, type UnpackOptions } from '../../../src/engine/images/layer-unpack.ts'
import { getXattr, listXattrs, setXattr } from '../../../src/kernel/file-calls.ts'
import { inChunks, tarOf, type HandMadeEntry } from './tar-archive.ts'

let home: string
let root: string

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-unpack-'))
  root = path.join(home, 'root')
  fs.mkdirSync(root)
  fs.writeFileSync(path.join(home, 'outside'), 'untouched')
})

afterEach(() => {
  // Whatever an archive did, what is beside its root is as it was.
  expect(fs.readdirSync(home).filter((name) => name !== 'source')).toEqual(['outside', 'root'])
  expect(fs.readFileSync(path.join(home, 'outside'), 'utf8')).toBe('untouched')
  fs.rmSync(home, { recursive: true })
})

const at = (name: string): string => path.join(root, name)

function unpack(
  entries: readonly HandMadeEntry[] | Buffer,
  options: UnpackOptions = {},
): Promise<unknown> {
  const bytes = Buffer.isBuffer(entries) ? entries : tarOf(entries)
  return unpackLayer(sourceFromChunks(inChunks(bytes, 4096)), root, options)
}

function stateOf(name: string): Record<string, unknown> {
  const { mode, uid, gid, mtimeMs } = fs.lstatSync(at(name))
  return { mode: mode & 0o7777, uid, gid, mtime: mtimeMs / 1000 }
}

test('unpackLayer() gives what tar(1) packed', async () => {
  const source = path.join(home, 'source')
  fs.mkdirSync(path.join(source, 'd/e'), { recursive: true })
  fs.writeFileSync(path.join(source, 'd/e/file'), 'x'.repeat(100_000))
  fs.linkSync(path.join(source, 'd/e/file'), path.join(source, 'twin'))
  fs.symlinkSync('/etc/passwd', path.join(source, 'link'))
  fs.writeFileSync(path.join(source, 'n'.repeat(200)), 'long')
  fs.writeFileSync(path.join(source, 'suid'), '')
  fs.chownSync(path.join(source, 'suid'), 12, 34)
  fs.chmodSync(path.join(source, 'suid'), 0o6755)
  fs.chmodSync(path.join(source, 'd'), 0o1777)
  fs.utimesSync(path.join(source, 'd'), 1000, 2000)
  for (const format of ['gnu', 'pax']) {
    fs.rmSync(root, { recursive: true })
    fs.mkdirSync(root)
    await unpack(
      execFileSync('tar', ['-C', source, `--format=${format}`, '-c', '.'], { maxBuffer: 1 << 24 }),
    )
    expect(() =>
      execFileSync('/usr/bin/diff', ['-r', '--no-dereference', source, root]),
    ).not.toThrow()
    expect(stateOf('suid')).toMatchObject({ mode: 0o6755, uid: 12, gid: 34 })
    expect(stateOf('d')).toMatchObject({ mode: 0o1777, mtime: 2000 })
    expect(fs.lstatSync(at('twin')).ino).toBe(fs.lstatSync(at('d/e/file')).ino)
  }
})

/** Default ACL (include/uapi/linux/posix_acl_xattr.h): the owner and group all, user 1000 all, others nothing. */
const DEFAULT_ACL = Buffer.from(
  '02000000' +
    ['01000700ffffffff', '02000700e8030000', '04000700ffffffff'].join('') +
    ['10000700ffffffff', '20000000ffffffff'].join(''),
  'hex',
)

test.each([
  {
    title: 'that is set-group-id',
    prepare: () => {
      fs.chownSync(root, 0, 55)
    },
    rootMode: 0o2755,
  },
  {
    title: 'of a group',
    prepare: () => {
      fs.chownSync(root, 0, 55)
    },
    rootMode: 0o755,
  },
  {
    title: 'with a default ACL',
    prepare: () => {
      setXattr(root, 'system.posix_acl_default', DEFAULT_ACL)
    },
    rootMode: 0o755,
  },
  { title: 'of root', prepare: () => undefined, rootMode: 0o755 },
])("owner and mode are the entry's in a directory $title", async ({ prepare, rootMode }) => {
  prepare()
  fs.chmodSync(root, rootMode)
  const modes = [0o644, 0o666, 0o4755, 0o600]
  await unpack([
    ...modes.map((mode) => ({ path: `f${mode}`, mode, content: 'x' })),
    { path: 'd', type: '5', mode: 0o2777, gid: 77 },
    { path: 'd/f', mode: 0o640, content: 'x' },
    { path: 'd/e', type: '5', mode: 0o755 },
    { path: 'd/l', type: '2', link: 'f' },
  ])
  for (const mode of modes) expect(stateOf(`f${mode}`)).toMatchObject({ mode, uid: 0, gid: 0 })
  expect(stateOf('d')).toMatchObject({ mode: 0o2777, gid: 77 })
  expect(stateOf('d/f')).toMatchObject({ mode: 0o640, gid: 0 })
  expect(stateOf('d/e')).toMatchObject({ mode: 0o755, gid: 0 })
  expect(stateOf('d/l')).toMatchObject({ gid: 0 })
})

test("unpackLayer() keeps capabilities and users' attributes, and no others", async () => {
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
  const names = [
    'security.capability',
    'user.mine',
    'user.overlay.opaque',
    'trusted.overlay.opaque',
    'trusted.x',
  ]
  const pax = Object.fromEntries(
    names.map((name) => [`SCHILY.xattr.${name}`, name.startsWith('sec') ? capability : 'y']),
  )
  await unpack([
    { path: 'f', uid: 5, mode: 0o755, pax },
    { path: 'd', type: '5', mode: 0o755, pax: { 'SCHILY.xattr.trusted.overlay.opaque': 'y' } },
  ])
  expect(listXattrs(at('f')).sort()).toEqual(['security.capability', 'user.mine'])
  expect(getXattr(at('f'), 'security.capability')).toEqual(capability)
  expect(isOpaque(at('d'))).toBe(false)
})

describe('unpackLayer() makes of whiteouts', () => {
  test('a device 0:0 that hides what lower layers have', async () => {
    await unpack([{ path: 'd/.wh.gone' }, { path: '.wh.top' }])
    expect(isWhiteout(fs.lstatSync(at('d/gone')))).toBe(true)
    expect(isWhiteout(fs.lstatSync(at('top')))).toBe(true)
  })

  test('an opaque directory, before and after what is in it', async () => {
    await unpack([
      ...[{ path: 'a', type: '5' }, { path: 'a/.wh..wh..opq' }, { path: 'a/f' }],
      ...[{ path: 'b', type: '5' }, { path: 'b/f' }, { path: 'b/.wh..wh..opq' }],
    ])
    for (const name of ['a', 'b']) {
      expect(isOpaque(at(name))).toBe(true)
      expect(fs.readdirSync(at(name))).toEqual(['f'])
    }
  })

  test('nothing for files of the same layer, and opacity for its directories', async () => {
    await unpack([
      { path: 'f', content: 'stays' },
      { path: '.wh.f' },
      { path: 'd', type: '5' },
      { path: 'd/f' },
      { path: '.wh.d' },
    ])
    expect(fs.readFileSync(at('f'), 'utf8')).toBe('stays')
    expect(isOpaque(at('d'))).toBe(true)
    expect(fs.existsSync(at('d/f'))).toBe(true)
  })

  test('an opaque directory where one comes after its whiteout', async () => {
    await unpack([
      { path: '.wh.d' },
      { path: 'd', type: '5' },
      { path: '.wh.e' },
      { path: 'e/f' },
      { path: '.wh.g' },
      { path: 'g' },
    ])
    expect(isOpaque(at('d'))).toBe(true)
    expect(isOpaque(at('e'))).toBe(true)
    expect(fs.lstatSync(at('g')).isFile()).toBe(true)
  })

  test("nothing of aufs's own", async () => {
    await unpack([{ path: '.wh..wh.plnk', type: '5' }, { path: '.wh..wh.aufs' }])
    expect(fs.readdirSync(root)).toEqual([])
  })
})

describe('unpackLayer() refuses', () => {
  test.each<[string, readonly HandMadeEntry[], string]>([
    ['names with ..', [{ path: '../outside', content: 'evil' }], 'leaves the root'],
    [
      'names with .. in the middle',
      [{ path: 'a/../../outside', content: 'evil' }],
      'leaves the root',
    ],
    ['hard links with ..', [{ path: 'x', type: '1', link: '../outside' }], 'leaves the root'],
    ['hard links to nothing', [{ path: 'x', type: '1', link: 'missing' }], 'does not exist'],
    [
      'hard links to directories',
      [
        { path: 'd', type: '5' },
        { path: 'x', type: '1', link: 'd' },
      ],
      'not a file',
    ],
    ['hard links to the root', [{ path: 'x', type: '1', link: '/' }], 'hard link'],
    ['character devices', [{ path: 'mem', type: '3', device: [1, 1] }], 'device'],
    ['block devices', [{ path: 'sda', type: '4', device: [8, 0] }], 'device'],
    ['a whiteout in disguise', [{ path: 'x', type: '3', device: [0, 0] }], 'device'],
    ['a whiteout of nothing', [{ path: 'd/.wh.' }], 'whiteout'],
    ['a whiteout of the parent', [{ path: 'd/.wh...' }], 'whiteout'],
    ['a symlink to nothing', [{ path: 'x', type: '2', link: '' }], 'symlink'],
    [
      'a file that is the root',
      [
        { path: './', content: '' },
        { path: '.', content: 'x' },
      ],
      'root',
    ],
    ['a file as a directory', [{ path: 'f' }, { path: 'f/g' }], 'f/g'],
    [
      'a dangling link as a directory',
      [{ path: 'l', type: '2', link: '/nowhere' }, { path: 'l/g' }],
      'l/g',
    ],
    ['a loop of links', [{ path: 'l', type: '2', link: 'l' }, { path: 'l/g' }], 'ELOOP'],
    [
      'components that are too long',
      [{ path: 'a', pax: { path: 'x'.repeat(300) } }],
      'ENAMETOOLONG',
    ],
  ])('%s', async (_, entries, state) => {
    await expect(unpack(entries)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(state) as string,
    })
  })

  test('a whiteout in disguise even where devices are allowed', async () => {
    const allowDevices = true
    await unpack([{ path: 'null', type: '3', device: [1, 3], mode: 0o666 }], { allowDevices })
    expect(fs.lstatSync(at('null'))).toMatchObject({ rdev: 0x103 })
    const disguised: HandMadeEntry = { path: 'x', type: '3', device: [0, 0] }
    await expect(unpack([disguised], { allowDevices })).rejects.toThrow('whiteout')
  })
})

describe('unpackLayer() contains', () => {
  test('writes through an absolute symlink', async () => {
    await unpack([
      { path: 'etc', type: '5', mode: 0o755 },
      { path: 'out', type: '2', link: '/etc' },
      { path: 'out/tsstack-evil', content: 'inside' },
    ])
    expect(fs.readFileSync(at('etc/tsstack-evil'), 'utf8')).toBe('inside')
    expect(fs.existsSync('/etc/tsstack-evil')).toBe(false)
  })

  test('writes through a symlink that climbs', async () => {
    await unpack([
      { path: 'up', type: '2', link: '../../..' },
      { path: 'up/outside', content: 'inside' },
    ])
    expect(fs.readFileSync(at('outside'), 'utf8')).toBe('inside')
  })

  test('a file in the place of a symlink: the link goes, its target stays', async () => {
    await unpack([
      { path: 'l', type: '2', link: path.join(home, 'outside') },
      { path: 'l', content: 'evil' },
    ])
    expect(fs.lstatSync(at('l')).isFile()).toBe(true)
  })

  test('a directory in the place of a symlink', async () => {
    await unpack([
      { path: 'l', type: '2', link: home },
      { path: 'l', type: '5', mode: 0o700 },
      { path: 'l/f', content: 'inside' },
    ])
    expect(fs.lstatSync(at('l')).isDirectory()).toBe(true)
    expect(fs.existsSync(path.join(home, 'f'))).toBe(false)
  })

  test('attributes of a symlink: they never reach its target', async () => {
    const before = fs.statSync(path.join(home, 'outside'))
    await unpack([
      { path: 'l', type: '2', link: path.join(home, 'outside'), mode: 0o4777, uid: 77 },
    ])
    const after = fs.statSync(path.join(home, 'outside'))
    expect([after.mode, after.uid]).toEqual([before.mode, before.uid])
    expect(fs.lstatSync(at('l')).uid).toBe(77)
  })

  test('a hard link to a symlink, and a write over it', async () => {
    await unpack([
      { path: 'l', type: '2', link: path.join(home, 'outside') },
      { path: 'h', type: '1', link: 'l' },
      { path: 'h', content: 'evil' },
    ])
    expect(fs.lstatSync(at('h')).isFile()).toBe(true)
  })

  test('a hard link through a symlink out of the root', async () => {
    await expect(
      unpack([
        { path: 'l', type: '2', link: home },
        { path: 'x', type: '1', link: 'l/outside' },
      ]),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('an absolute name', async () => {
    await unpack([{ path: '/tsstack-evil', content: 'inside' }])
    expect(fs.existsSync('/tsstack-evil')).toBe(false)
    expect(fs.existsSync(at('tsstack-evil'))).toBe(true)
  })
})

test('unpackLayer() takes the last of several entries of one name', async () => {
  await unpack([
    ...[
      { path: 'f', content: 'one' },
      { path: 'f', content: 'two' },
    ],
    ...[{ path: 'd', type: '5' }, { path: 'd/x' }, { path: 'd', content: 'file' }],
    ...[
      { path: 's', content: 'x' },
      { path: 's', type: '2', link: 'f' },
    ],
    ...[
      { path: 'h', type: '1', link: 'f' },
      { path: 'h', type: '1', link: 'f' },
    ],
  ])
  expect(['f', 'd', 's', 'h'].map((name) => fs.readFileSync(at(name), 'utf8'))).toEqual([
    'two',
    'file',
    'two',
    'two',
  ])
})

test('unpackLayer() works below more directories than it holds descriptors', async () => {
  const names = Array.from({ length: 200 }, (_, index) => `d${index}/e/f`)
  await unpack([
    ...names.map((path) => ({ path, content: path })),
    ...names.map((link) => ({ path: `${link}2`, type: '1', link })),
  ])
  for (const name of names) expect(fs.readFileSync(at(`${name}2`), 'utf8')).toBe(name)
})
