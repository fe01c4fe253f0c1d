/** What every storage driver must do; a driver's test file is little more than a call of this. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Image } from '../../src/engine/images/image.ts'
import type { SnapshotterSettings } from '../../src/engine/images/overlay-snapshotter.ts'
import type { Snapshotter } from '../../src/engine/images/snapshotter.ts'
import type { Mount } from '../../src/kernel/mount.ts'
import { getXattr, makeNode, setXattr } from '../../src/kernel/file-calls.ts'
import { syscall, trySyscall } from '../../src/kernel/libc.ts'

const NO_IDS = { uid: 0, gid: 0 }
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex')
const MNT_DETACH = 2

const digest = (digit: string): string => `sha256:${digit.repeat(64)}`

export function imageOf(layers: readonly string[]): Image {
  return {
    ...{
      id: digest(layers.at(-1)?.at(-1) ?? 'f'),
      digest: digest('e'),
      architecture: 'amd64',
      os: 'linux',
    },
    ...{
      created: '',
      config: { env: {}, exposedPorts: [], volumes: [], labels: {} },
      layers,
      sizeBytes: 0,
    },
  }
}

export function snapshotterSuite(
  driver: string,
  open: (settings: SnapshotterSettings) => Snapshotter,
  /** The file system that the driver works on. */
  parent: () => string = os.tmpdir,
): void {
  let home: string
  let settings: SnapshotterSettings
  let snapshotter: Snapshotter

  const layerDir = (diffId: string): string => path.join(home, 'layers', diffId.slice(7))

  function layer(digit: string, fill: (tree: string) => void): string {
    const tree = layerDir(digest(digit))
    fs.mkdirSync(tree, { recursive: true })
    fill(tree)
    return digest(digit)
  }

  /** Runs `look` on the root directory that the mount value stands for. */
  async function mounted(
    mount: Mount,
    look: (root: string) => void | Promise<void>,
  ): Promise<void> {
    if (mount.kind === 'bind') {
      await look(mount.source)
      return
    }
    if (mount.kind !== 'overlay') throw new Error(`a snapshot can't be a ${mount.kind}`)
    const { lowerdirs, upperdir = '', workdir = '' } = mount
    const target = path.join(home, 'mnt')
    fs.mkdirSync(target, { recursive: true })
    const options = `lowerdir=${lowerdirs.join(':')},upperdir=${upperdir},workdir=${workdir}`
    syscall('mount', 'tsstack-test', target, 'overlay', 0, options)
    try {
      await look(target)
    } finally {
      syscall('umount2', target, 0)
    }
  }

  beforeEach(() => {
    home = fs.mkdtempSync(path.join(parent(), 'tsstack-snapshot-'))
    settings = { root: path.join(home, 'snapshots'), layerPath: layerDir }
    snapshotter = open(settings)
  })

  afterEach(() => {
    trySyscall('umount2', path.join(home, 'mnt'), MNT_DETACH)
    fs.rmSync(home, { recursive: true })
  })

  describe(`snapshotter ${driver}`, () => {
    test('prepare() shows the layers, the upper over the lower', async () => {
      const lower = layer('1', (tree) => {
        fs.mkdirSync(path.join(tree, 'd/old'), { recursive: true })
        for (const name of ['both', 'gone', 'd/old/x', 'd/kept'])
          fs.writeFileSync(path.join(tree, name), 'lower')
        fs.symlinkSync('/etc', path.join(tree, 'link'))
      })
      const upper = layer('2', (tree) => {
        fs.mkdirSync(path.join(tree, 'd/old'), { recursive: true })
        setXattr(path.join(tree, 'd/old'), 'trusted.overlay.opaque', Buffer.from('y'))
        fs.writeFileSync(path.join(tree, 'both'), 'upper')
        makeNode(-100, path.join(tree, 'gone'), { mode: fs.constants.S_IFCHR, major: 0, minor: 0 })
        fs.mkdirSync(path.join(tree, 'link')) // a directory where a symlink was
        fs.writeFileSync(path.join(tree, 'link/inside'), 'upper')
      })
      await mounted(await snapshotter.prepare('c1', imageOf([lower, upper]), NO_IDS), (root) => {
        expect(fs.readdirSync(root).sort()).toEqual(['both', 'd', 'link'])
        expect(fs.readFileSync(path.join(root, 'both'), 'utf8')).toBe('upper')
        expect(fs.readdirSync(path.join(root, 'd')).sort()).toEqual(['kept', 'old'])
        expect(fs.readdirSync(path.join(root, 'd/old'))).toEqual([])
        expect(fs.lstatSync(path.join(root, 'link')).isDirectory()).toBe(true)
      })
      expect(fs.existsSync('/etc/inside')).toBe(false)
    })

    test('prepare() keeps owners, modes, times, attributes and hard links', async () => {
      const only = layer('1', (tree) => {
        const file = path.join(tree, 'file')
        fs.writeFileSync(file, 'x'.repeat(200_000))
        fs.linkSync(file, path.join(tree, 'twin'))
        fs.chownSync(file, 101, 102)
        fs.chmodSync(file, 0o4750)
        setXattr(file, 'security.capability', CAPABILITY)
        fs.utimesSync(file, 1000, 2000)
        fs.chmodSync(tree, 0o751)
      })
      await mounted(await snapshotter.prepare('c1', imageOf([only]), NO_IDS), (root) => {
        const stats = fs.statSync(path.join(root, 'file'))
        expect([stats.uid, stats.gid, stats.mode & 0o7777, stats.mtimeMs]).toEqual([
          101, 102, 0o4750, 2_000_000,
        ])
        expect(getXattr(path.join(root, 'file'), 'security.capability')).toEqual(CAPABILITY)
        expect(fs.statSync(path.join(root, 'twin')).ino).toBe(stats.ino)
        expect(fs.statSync(root).mode & 0o7777).toBe(0o751)
      })
    })

    test('writes stay in the snapshot, across mounts and a new process', async () => {
      const only = layer('1', (tree) => {
        fs.writeFileSync(path.join(tree, 'file'), 'image')
      })
      await mounted(await snapshotter.prepare('c1', imageOf([only]), NO_IDS), (root) => {
        fs.writeFileSync(path.join(root, 'file'), 'container')
      })
      await mounted(await snapshotter.prepare('c2', imageOf([only]), NO_IDS), (root) => {
        expect(fs.readFileSync(path.join(root, 'file'), 'utf8')).toBe('image')
      })
      await mounted(open(settings).mount('c1'), (root) => {
        expect(fs.readFileSync(path.join(root, 'file'), 'utf8')).toBe('container')
      })
      expect(fs.readFileSync(path.join(layerDir(only), 'file'), 'utf8')).toBe('image')
    })

    test('prepare() finds a snapshot of the same image, and refuses another image', async () => {
      const [one, two] = [layer('1', () => undefined), layer('2', () => undefined)]
      const mount = await snapshotter.prepare('c1', imageOf([one]), NO_IDS)
      expect(await snapshotter.prepare('c1', imageOf([one]), NO_IDS)).toEqual(mount)
      expect(snapshotter.mount('c1')).toEqual(mount)
      await expect(snapshotter.prepare('c1', imageOf([two]), NO_IDS)).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      })
    })

    test('prepare() takes an image without layers, and one that repeats a layer', async () => {
      await mounted(await snapshotter.prepare('empty', imageOf([]), NO_IDS), (root) => {
        expect(fs.readdirSync(root)).toEqual([])
      })
      const one = layer('1', (tree) => {
        fs.writeFileSync(path.join(tree, 'file'), '1')
      })
      const two = layer('2', (tree) => {
        fs.writeFileSync(path.join(tree, 'file'), '2')
      })
      await mounted(
        await snapshotter.prepare('again', imageOf([one, two, one]), NO_IDS),
        (root) => {
          expect(fs.readFileSync(path.join(root, 'file'), 'utf8')).toBe('1')
        },
      )
    })

    test('a layer whose root is opaque hides everything below it', async () => {
      const lower = layer('1', (tree) => {
        fs.writeFileSync(path.join(tree, 'old'), '')
      })
      const upper = layer('2', (tree) => {
        setXattr(tree, 'trusted.overlay.opaque', Buffer.from('y'))
        fs.writeFileSync(path.join(tree, 'new'), '')
      })
      await mounted(await snapshotter.prepare('c1', imageOf([lower, upper]), NO_IDS), (root) => {
        expect(fs.readdirSync(root)).toEqual(['new'])
      })
    })

    test('remove() leaves nothing, and nothing to remove is no error', async () => {
      const only = layer('1', () => undefined)
      await snapshotter.prepare('c1', imageOf([only]), NO_IDS)
      expect([snapshotter.has('c1'), snapshotter.list()]).toEqual([true, ['c1']])
      await snapshotter.remove('c1')
      await snapshotter.remove('c1')
      expect([snapshotter.has('c1'), snapshotter.list()]).toEqual([false, []])
      expect(fs.readdirSync(settings.root)).toContain('.tmp')
      expect(fs.existsSync(path.join(settings.root, 'c1'))).toBe(false)
      expect(fs.readdirSync(path.join(settings.root, '.tmp'))).toEqual([])
      expect(() => snapshotter.mount('c1')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
    })

    test('usage() grows with what is written', async () => {
      const only = layer('1', () => undefined)
      const mount = await snapshotter.prepare('c1', imageOf([only]), NO_IDS)
      const before = await snapshotter.usage('c1')
      await mounted(mount, (root) => {
        fs.writeFileSync(path.join(root, 'file'), Buffer.alloc(1 << 20, 1), { flush: true })
      })
      expect(await snapshotter.usage('c1')).toBeGreaterThanOrEqual(before + (1 << 20))
      await expect(snapshotter.usage('none')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })

    test('a prepare() that fails leaves nothing', async () => {
      await expect(snapshotter.prepare('c1', imageOf([digest('9')]), NO_IDS)).rejects.toThrow()
      expect(snapshotter.has('c1')).toBe(false)
      expect(fs.readdirSync(path.join(settings.root, '.tmp'))).toEqual([])
    })

    test.each(['', '.', '..', '../x', 'a/b', '.tmp', 'x'.repeat(129)])(
      'refuses the key %j',
      async (key) => {
        await expect(snapshotter.prepare(key, imageOf([]), NO_IDS)).rejects.toMatchObject({
          code: 'INVALID_ARGUMENT',
        })
      },
    )
  })
}
