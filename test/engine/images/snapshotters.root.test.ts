import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBtrfsSnapshotter } from '../../../src/engine/images/btrfs-snapshotter.ts'
import { openOverlaySnapshotter } from '../../../src/engine/images/overlay-snapshotter.ts'
import { openVfsSnapshotter } from '../../../src/engine/images/vfs-snapshotter.ts'
import { openRoot } from '../../../src/engine/root-file-system.ts'
import { FdScope } from '../../../src/kernel/fd-scope.ts'
import { missingPrograms } from '../../registry-fixture.ts'
import { mountBtrfs, type BtrfsVolume } from '../../suites/btrfs-volume.ts'
import { imageOf, snapshotterSuite } from '../../suites/snapshotter.ts'

snapshotterSuite('overlay', openOverlaySnapshotter)
snapshotterSuite('vfs', openVfsSnapshotter)

const without = missingPrograms('mkfs.btrfs')

describe.skipIf(without !== '')(`on a file system of btrfs${without}`, () => {
  let volume: BtrfsVolume
  beforeAll(() => {
    volume = mountBtrfs()
  })
  afterAll(() => {
    volume.close()
  })
  snapshotterSuite('btrfs', openBtrfsSnapshotter, () => volume.path)

  test('an image is laid out once, shared by its containers, and goes with its layers', async () => {
    const home = fs.mkdtempSync(path.join(volume.path, 'shared-'))
    const layer = path.join(home, 'layer')
    fs.mkdirSync(layer)
    fs.writeFileSync(path.join(layer, 'big'), randomBytes(8 << 20))
    const root = path.join(home, 'snapshots')
    const snapshotter = openBtrfsSnapshotter({ root, layerPath: () => layer })
    const image = imageOf([`sha256:${'1'.repeat(64)}`])
    const keys = ['c1', 'c2', 'c3']
    await Promise.all(keys.map((key) => snapshotter.prepare(key, image, { uid: 0, gid: 0 })))
    expect(fs.readdirSync(path.join(root, '.images'))).toHaveLength(2) // `.tmp` is one
    for (const key of keys) expect(await snapshotter.usage(key)).toBeLessThan(1 << 20)
    const { path: tree } = snapshotter.content('c1')
    fs.writeFileSync(path.join(tree, 'big'), 'changed')
    expect(fs.statSync(path.join(snapshotter.content('c2').path, 'big')).size).toBe(8 << 20)
    await snapshotter.remove('c1')
    fs.rmSync(layer, { recursive: true })
    await snapshotter.remove('c2')
    expect(fs.readdirSync(path.join(root, '.images'))).toEqual(['.tmp'])
    expect(fs.statSync(path.join(snapshotter.content('c3').path, 'big')).size).toBe(8 << 20)
  })
})

test('btrfs: another file system is refused', () => {
  const home = fs.mkdtempSync(path.join('/dev/shm', 'tsstack-snapshot-'))
  try {
    const open = (): unknown => openBtrfsSnapshotter({ root: home, layerPath: () => home })
    expect(open).toThrow('is on another file system')
  } finally {
    fs.rmSync(home, { recursive: true })
  }
})

test('overlay: an image of 130 layers is one tree, through the mount API', async () => {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-snapshot-'))
  const scope = new FdScope()
  try {
    const layers = Array.from({ length: 130 }, (_, index) => index.toString(16).padStart(64, '0'))
    for (const name of layers) {
      fs.mkdirSync(path.join(home, name))
      fs.writeFileSync(path.join(home, name, `file-${name}`), name)
      fs.writeFileSync(path.join(home, name, 'last'), name)
    }
    const layerPath = (diffId: string): string => path.join(home, diffId.slice('sha256:'.length))
    const snapshotter = openOverlaySnapshotter({ root: path.join(home, 's'), layerPath })
    const image = imageOf(layers.map((name) => `sha256:${name}`))
    const mount = await snapshotter.prepare('c1', image, { uid: 0, gid: 0 })
    const root = openRoot(mount, undefined, scope)
    const seen = `/proc/self/fd/${String(root.fd)}`
    expect(fs.readdirSync(seen)).toHaveLength(131)
    expect(fs.readFileSync(`${seen}/last`, 'utf8')).toBe(layers.at(-1))
  } finally {
    scope.close()
    fs.rmSync(home, { recursive: true })
  }
})

test('overlay: the directories that a container writes to belong to the start of its range', async () => {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-snapshot-'))
  try {
    const settings = { root: path.join(home, 's'), layerPath: () => path.join(home, 'layer') }
    fs.mkdirSync(path.join(home, 'layer'))
    const image = imageOf([`sha256:${'1'.repeat(64)}`])
    const mount = await openOverlaySnapshotter(settings).prepare('c1', image, {
      uid: 100_000,
      gid: 200_000,
    })
    if (mount.kind !== 'overlay') throw new Error('overlay gave another kind of mount')
    for (const directory of [mount.upperdir ?? '', mount.workdir ?? '']) {
      expect(fs.statSync(directory)).toMatchObject({ uid: 100_000, gid: 200_000 })
    }
  } finally {
    fs.rmSync(home, { recursive: true })
  }
})
