import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { openOverlaySnapshotter } from '../../../src/engine/images/overlay-snapshotter.ts'
import { openVfsSnapshotter } from '../../../src/engine/images/vfs-snapshotter.ts'
import { imageOf, snapshotterSuite } from '../../suites/snapshotter.ts'

snapshotterSuite('overlay', openOverlaySnapshotter)
snapshotterSuite('vfs', openVfsSnapshotter)

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
