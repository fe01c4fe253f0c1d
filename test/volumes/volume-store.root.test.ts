import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openVolumeStore, type VolumeStore } from '../../src/volumes/volume-store.ts'

const OFFSET = 0x4000_0000
let home: string
let root: string
let image: string
let volumes: VolumeStore

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-volumes-'))
  root = path.join(home, 'volumes')
  image = path.join(home, 'image')
  fs.mkdirSync(image)
  volumes = openVolumeStore(root)
})
afterEach(() => {
  fs.rmSync(home, { recursive: true })
})

const data = (name = 'v'): string => volumes.dataPath(name)

describe('volume store', () => {
  test('create() makes an empty directory for everybody, once', async () => {
    const before = process.umask(0o077)
    try {
      await volumes.create('v')
      fs.writeFileSync(path.join(data(), 'file'), 'x')
      await volumes.create('v')
    } finally {
      process.umask(before)
    }
    expect(fs.statSync(data()).mode & 0o7777).toBe(0o755)
    expect(fs.readdirSync(data())).toEqual(['file'])
  })

  test('create() leaves the mode alone that a container has given', async () => {
    await volumes.create('v')
    fs.chmodSync(data(), 0o700)
    await volumes.create('v')
    expect(fs.statSync(data()).mode & 0o7777).toBe(0o700)
  })

  test('remove() leaves nothing, and nothing to remove is no error', async () => {
    await volumes.create('v')
    fs.mkdirSync(path.join(data(), 'a/b/c'), { recursive: true })
    await volumes.remove('v')
    await volumes.remove('v')
    expect(fs.readdirSync(root)).toEqual([])
  })

  test('openVolumeStore() finishes removals that were cut short, and nothing else', async () => {
    await volumes.create('v')
    fs.mkdirSync(path.join(root, '.removed-123-old/_data'), { recursive: true })
    volumes = openVolumeStore(root)
    await volumes.create('w')
    expect(fs.readdirSync(root).sort()).toEqual(['v', 'w'])
  })

  test.each(['', '.', '..', '../x', 'a/b', '.hidden', '-x', 'a b', 'x'.repeat(256), 'a\0b'])(
    'refuses the name %j',
    async (name) => {
      await expect(volumes.create(name)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(() => volumes.dataPath(name)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    },
  )
})

describe('seed()', () => {
  function fill(): void {
    fs.mkdirSync(path.join(image, 'd'))
    fs.writeFileSync(path.join(image, 'd/file'), 'from the image')
    fs.chownSync(path.join(image, 'd/file'), OFFSET + 33, OFFSET + 34)
    fs.chmodSync(path.join(image, 'd/file'), 0o4640)
    fs.utimesSync(path.join(image, 'd/file'), 1000, 2000)
    fs.symlinkSync('/etc/shadow', path.join(image, 'link'))
    fs.chownSync(image, OFFSET + 70, OFFSET + 71)
    fs.chmodSync(image, 0o2770)
  }

  test('copies content with ids, modes and times; symlinks stay symlinks', async () => {
    fill()
    await volumes.create('v')
    await volumes.seed('v', image, OFFSET)
    const file = fs.statSync(path.join(data(), 'd/file'))
    expect([file.uid, file.gid, file.mode & 0o7777, file.mtimeMs]).toEqual([
      33, 34, 0o4640, 2_000_000,
    ])
    expect(fs.readlinkSync(path.join(data(), 'link'))).toBe('/etc/shadow')
    const top = fs.statSync(data())
    expect([top.uid, top.gid, top.mode & 0o7777]).toEqual([70, 71, 0o2770])
    expect(fs.readdirSync(path.dirname(data()))).toEqual(['_data'])
  })

  test('gives the directory the owner of an empty one in the image', async () => {
    fs.chownSync(image, OFFSET + 5, OFFSET + 6)
    await volumes.create('v')
    await volumes.seed('v', image, OFFSET)
    const { uid, gid } = fs.statSync(data())
    expect([uid, gid]).toEqual([5, 6])
  })

  test('never replaces the directory: another container may have it mounted', async () => {
    fill()
    await volumes.create('v')
    const before = fs.statSync(data()).ino
    await volumes.seed('v', image, OFFSET)
    expect(fs.statSync(data()).ino).toBe(before)
  })

  test('leaves a volume alone that holds anything', async () => {
    fill()
    await volumes.create('v')
    fs.writeFileSync(path.join(data(), 'own'), 'mine')
    await volumes.seed('v', image, OFFSET)
    expect(fs.readdirSync(data())).toEqual(['own'])
    expect(fs.statSync(data()).uid).toBe(0)
  })

  test('two replicas at once seed it once', async () => {
    for (let index = 0; index < 200; index++)
      fs.writeFileSync(path.join(image, `f${index}`), String(index))
    await volumes.create('v')
    await Promise.all([1, 2, 3, 4].map(() => volumes.seed('v', image, OFFSET)))
    expect(fs.readdirSync(data()).length).toBe(200)
    expect(fs.readFileSync(path.join(data(), 'f199'), 'utf8')).toBe('199')
  })

  test('a copy that was cut short is begun anew, one that was complete is finished', async () => {
    fill()
    await volumes.create('v')
    const beside = path.dirname(data())
    fs.mkdirSync(path.join(beside, '.draft'))
    fs.writeFileSync(path.join(beside, '.draft/half'), '')
    await volumes.seed('v', image, OFFSET)
    expect(fs.readdirSync(data()).sort()).toEqual(['d', 'link'])

    await volumes.create('w')
    fs.mkdirSync(path.join(data('w'), '../.seed'))
    fs.writeFileSync(path.join(data('w'), '../.seed/second'), '2')
    fs.writeFileSync(path.join(data('w'), 'first'), '1') // moved before the crash
    await volumes.seed('w', image, OFFSET)
    expect(fs.readdirSync(data('w')).sort()).toEqual(['first', 'second'])
    expect(fs.readdirSync(path.dirname(data('w')))).toEqual(['_data'])
  })

  test('devices, sockets and fifos are left out', async () => {
    fs.writeFileSync(path.join(image, 'plain'), '')
    const { syscall } = await import('../../src/kernel/libc.ts')
    syscall('mknodat', -100, path.join(image, 'fifo'), fs.constants.S_IFIFO | 0o600, 0)
    syscall('mknodat', -100, path.join(image, 'null'), fs.constants.S_IFCHR | 0o666, (1 << 8) | 3)
    await volumes.create('v')
    await volumes.seed('v', image, OFFSET)
    expect(fs.readdirSync(data())).toEqual(['plain'])
  })

  test('ids outside the range of the stack stay as they are', async () => {
    fs.writeFileSync(path.join(image, 'file'), '')
    fs.chownSync(path.join(image, 'file'), 12, OFFSET + 65_536)
    await volumes.create('v')
    await volumes.seed('v', image, OFFSET)
    const { uid, gid } = fs.statSync(path.join(data(), 'file'))
    expect([uid, gid]).toEqual([12, OFFSET + 65_536])
  })
})
