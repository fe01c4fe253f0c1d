/** Trees that no archive should hold: each with what must become of it, refused or contained. */
import type { HandMadeEntry } from './tar-archive.ts'

export interface HostileTree {
  readonly title: string
  /** @param outside - a directory of the host beside the store, which holds a file `canary` */
  readonly entries: (outside: string) => readonly HandMadeEntry[]
  /** A part of the message. Absent: it is contained. */
  readonly refused?: string
  /** Contained: all paths of the layer, sorted, with `l`, `d`, `f`, `w` (whiteout) or `p` in front. */
  readonly holds?: readonly string[]
  /** Means something in a layer only; in a root file system it is a plain file. */
  readonly isLayerOnly?: true
}

const GIB = 2 ** 30

const file = (path: string | Buffer, more: Partial<HandMadeEntry> = {}): HandMadeEntry => ({
  path,
  content: 'x',
  ...more,
})
const directory = (path: string): HandMadeEntry => ({ path, type: '5', mode: 0o755 })
const symlink = (path: string, link: string): HandMadeEntry => ({ path, type: '2', link })
const hardlink = (path: string, link: string): HandMadeEntry => ({ path, type: '1', link })

const PATHS: readonly HostileTree[] = [
  { title: 'a name that climbs', entries: () => [file('../evil')], refused: 'leaves the root' },
  {
    title: 'a name that climbs from below',
    entries: () => [file('a/b/../../../evil')],
    refused: 'leaves the root',
  },
  {
    title: 'a name that only goes up and down',
    entries: () => [file('a/../b')],
    refused: 'leaves the root',
  },
  { title: 'a directory that is ..', entries: () => [directory('..')], refused: 'leaves the root' },
  {
    title: 'a pax path that climbs behind a harmless name',
    entries: () => [file('harmless', { pax: { path: '../../evil' } })],
    refused: 'leaves the root',
  },
  {
    title: 'an absolute name',
    entries: (outside) => [file('short', { pax: { path: `${outside}/evil` } })],
  },
  {
    title: 'names with many slashes and dots',
    entries: () => [file('.//a/././/b')],
    holds: ['d a', 'f a/b'],
  },
  {
    title: 'a name that is not UTF-8',
    entries: () => [file(Buffer.from([0x61, 0xff, 0xfe]))],
    refused: 'not UTF-8',
  },
  {
    title: 'a name with half a surrogate',
    entries: () => [file(Buffer.from([0xed, 0xa0, 0x80]))],
    refused: 'not UTF-8',
  },
  {
    title: 'a pax path with a NUL in it',
    entries: () => [file('a', { pax: { path: 'etc/passwd\0.txt' } })],
    refused: 'NUL',
  },
  {
    title: 'a component of 300 bytes',
    entries: () => [file('a', { pax: { path: 'n'.repeat(300) } })],
    refused: 'ENAMETOOLONG',
  },
  {
    title: 'a path beyond PATH_MAX',
    entries: () => [file('a', { pax: { path: 'd/'.repeat(2100) } })],
    refused: 'longer than',
  },
  { title: 'a file that is the root', entries: () => [file('.')], refused: 'root' },
  {
    title: 'a link that is the root',
    entries: (outside) => [symlink('./', outside)],
    refused: 'root',
  },
]

const LINKS: readonly HostileTree[] = [
  {
    title: 'a write through an absolute link to the host',
    entries: (outside) => [symlink('out', outside), file('out/canary')],
    refused: 'out/canary',
  },
  {
    title: 'a write through a link that climbs',
    entries: () => [symlink('out', '../../../../../../../../tmp'), file('out/evil')],
    refused: 'out/evil',
  },
  {
    title: 'a write through a chain of links',
    entries: (outside) => [symlink('a', 'b'), symlink('b', outside), file('a/canary')],
    refused: 'a/canary',
  },
  {
    title: 'a write through a link inside a directory',
    entries: (outside) => [directory('d'), symlink('d/out', outside), file('d/out/canary')],
    refused: 'd/out/canary',
  },
  {
    title: 'a file in the place of a link to the host',
    entries: (outside) => [symlink('out', `${outside}/canary`), file('out')],
    holds: ['f out'],
  },
  {
    title: 'a directory in the place of a link to the host, and a file in it',
    entries: (outside) => [symlink('out', outside), directory('out'), file('out/canary')],
    holds: ['d out', 'f out/canary'],
  },
  {
    title: 'modes and owners of a link to the host',
    entries: (outside) => [
      { ...symlink('out', `${outside}/canary`), mode: 0o4777, uid: 1000, mtime: 5 },
    ],
    holds: ['l out'],
  },
  {
    title: 'a dangling link, and a write to where it would lead',
    entries: () => [symlink('lost', '/nowhere/at/all'), file('lost/x')],
    refused: 'lost/x',
  },
  {
    title: 'a link to itself, and a write through it',
    entries: () => [symlink('l', 'l'), file('l/x')],
    refused: 'ELOOP',
  },
  {
    title: 'a link into /proc, and a write through it',
    entries: () => [symlink('l', '/proc/self/root'), file('l/x')],
    refused: 'l/x',
  },
  { title: 'a link to nothing', entries: () => [symlink('l', '')], refused: 'symlink to nothing' },
  {
    title: 'a hard link that climbs',
    entries: () => [hardlink('l', '../../outside/canary')],
    refused: 'leaves the root',
  },
  {
    title: 'a hard link to a file of the host',
    entries: (outside) => [{ ...hardlink('l', 'x'), pax: { linkpath: `${outside}/canary` } }],
    refused: 'ENOENT',
  },
  {
    title: 'a hard link through a link to the host',
    entries: (outside) => [symlink('out', outside), hardlink('l', 'out/canary')],
    refused: 'ENOENT',
  },
  {
    title: 'a hard link to a link to the host, written over',
    entries: (outside) => [
      symlink('out', `${outside}/canary`),
      hardlink('twin', 'out'),
      file('twin'),
    ],
    holds: ['f twin', 'l out'],
  },
  {
    title: 'a hard link to a directory',
    entries: () => [directory('d'), hardlink('l', 'd')],
    refused: 'not a file',
  },
  { title: 'a hard link to itself', entries: () => [hardlink('l', 'l')], refused: 'not exist' },
  { title: 'a hard link to the root', entries: () => [hardlink('l', '/')], refused: 'hard link' },
  {
    title: 'a file, then a directory below it',
    entries: () => [file('f'), file('f/g')],
    refused: 'f/g',
  },
]

const KINDS: readonly HostileTree[] = [
  {
    title: 'the memory of the host',
    entries: () => [{ path: 'mem', type: '3', device: [1, 1] }],
    refused: 'it is a device',
  },
  {
    title: 'a disk of the host',
    entries: () => [{ path: 'sda', type: '4', device: [8, 0] }],
    refused: 'it is a device',
  },
  {
    title: 'a whiteout made as a device',
    entries: () => [{ path: 'w', type: '3', device: [0, 0] }],
    refused: 'it is a device',
  },
  {
    title: 'a named pipe',
    entries: () => [{ path: 'p', type: '6' }],
    holds: ['p p'],
  },
  { title: 'an unknown kind', entries: () => [file('x', { type: 'Z' })], refused: 'type "Z"' },
  { title: 'a sparse file', entries: () => [file('x', { type: 'S' })], refused: 'sparse' },
  {
    title: 'a sparse file by pax records',
    entries: () => [
      file('x', { pax: { 'GNU.sparse.major': '1', 'GNU.sparse.size': '99999999999' } }),
    ],
    refused: 'sparse',
  },
  {
    title: 'a volume of several',
    entries: () => [file('x', { type: 'M' })],
    refused: 'type "M"',
  },
  {
    title: 'a setuid program',
    entries: () => [file('su', { mode: 0o6755 })],
    holds: ['f su'],
  },
  {
    title: 'a file that comes twice, and a directory in its place',
    entries: () => [file('x'), file('x', { content: 'y' }), directory('x'), file('x/z')],
    holds: ['d x', 'f x/z'],
  },
]

const WHITEOUTS: readonly Omit<HostileTree, 'isLayerOnly'>[] = [
  {
    title: 'a whiteout of the parent',
    entries: () => [file('d/.wh...')],
    refused: 'whiteout of nothing',
  },
  { title: 'a whiteout of .', entries: () => [file('d/.wh..')], refused: 'whiteout of nothing' },
  { title: 'a whiteout of nothing', entries: () => [file('.wh.')], refused: 'whiteout of nothing' },
  {
    title: 'a whiteout of a path outside',
    entries: () => [file('../.wh.outside')],
    refused: 'leaves the root',
  },
  {
    title: 'a whiteout through a link to the host',
    entries: (outside) => [symlink('out', outside), file('out/.wh.canary')],
    refused: 'out/.wh.canary',
  },
  {
    title: 'an opaque mark through a link to the host',
    entries: (outside) => [symlink('out', outside), file('out/.wh..wh..opq')],
    refused: 'out/.wh..wh..opq',
  },
  {
    title: 'a whiteout of a whiteout',
    entries: () => [file('.wh..wh.x')],
    holds: [],
  },
  { title: 'an opaque root', entries: () => [file('.wh..wh..opq')], holds: [] },
  {
    title: "aufs's own files",
    entries: () => [directory('.wh..wh.plnk'), file('.wh..wh.aufs')],
    holds: [],
  },
  {
    title: 'a directory named as a whiteout, and a file in it',
    entries: () => [directory('.wh.d'), file('.wh.d/x')],
    holds: ['d .wh.d', 'f .wh.d/x', 'w d'],
  },
]

const HEADERS: readonly HostileTree[] = [
  {
    title: "overlayfs's attributes",
    entries: () => [
      file('f', {
        pax: {
          'SCHILY.xattr.trusted.overlay.redirect': '/etc/shadow',
          'SCHILY.xattr.trusted.overlay.metacopy': '',
          'SCHILY.xattr.user.overlay.whiteout': 'y',
          'SCHILY.xattr.security.selinux': 'evil',
          'SCHILY.xattr.user.kept': 'yes',
        },
      }),
    ],
    holds: ['f f'],
  },
  {
    title: 'an entry of a terabyte',
    entries: () => [file('big', { size: 1024 * GIB })],
    refused: 'holds more than',
  },
  {
    title: 'a pax size of a terabyte',
    entries: () => [file('big', { pax: { size: String(1024 * GIB) } })],
    refused: 'holds more than',
  },
  {
    title: 'a negative pax size',
    entries: () => [file('x', { pax: { size: '-512' } })],
    refused: 'out of range',
  },
  {
    title: 'a pax size that is no number',
    entries: () => [file('x', { pax: { size: '1e3' } })],
    refused: 'malformed',
  },
  {
    title: 'an owner beyond 32 bits',
    entries: () => [file('x', { pax: { uid: '4294967296' } })],
    refused: 'out of range',
  },
  {
    title: 'an owner that chown(2) leaves alone',
    entries: () => [file('x', { pax: { uid: '4294967295' } })],
    refused: 'out of range',
  },
  {
    title: 'a time beyond all time',
    entries: () => [file('x', { pax: { mtime: '9999999999999999' } })],
    holds: ['f x'],
  },
  {
    title: 'a header with a wrong sum',
    entries: () => [file('x', { checksum: '000000\0 ' })],
    refused: 'checksum',
  },
  {
    title: 'a pax header of two megabytes',
    entries: () => [file('x', { pax: { comment: 'c'.repeat(2 << 20) } })],
    refused: 'header is larger',
  },
  {
    title: 'a pax header that is malformed',
    entries: () => [file('h', { type: 'x', content: '99 path=../../evil\n' }), file('x')],
    refused: 'malformed',
  },
  {
    title: 'a pax header before every pax header',
    entries: () => [
      ...Array.from({ length: 20 }, () =>
        file('h', { type: 'x', content: '9 a=b\n\n'.slice(0, 6) }),
      ),
      file('x'),
    ],
    refused: 'header',
  },
  {
    title: 'a global path for every entry',
    entries: () => [file('g', { type: 'g', content: '19 path=../../evil\n' }), file('x')],
    holds: ['f x'],
  },
]

/** All that can be wrong with what is in a tree. */
export const HOSTILE_TREES: readonly HostileTree[] = [
  ...PATHS,
  ...LINKS,
  ...KINDS,
  ...WHITEOUTS.map((tree): HostileTree => ({ ...tree, isLayerOnly: true })),
  ...HEADERS,
]
