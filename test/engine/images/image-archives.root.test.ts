/** Saved, loaded, imported, removed: what goes out comes back as it was. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openImageStore, type ImageStore } from '../../../src/engine/images/image-store.ts'
import type { ImagesInUse } from '../../../src/engine/images/image-usage.ts'
import { missingPrograms } from '../../registry-fixture.ts'
import { inChunks, tarOf } from './tar-archive.ts'

const usedBy = (...ids: string[]): ImagesInUse => new Map(ids.map((id) => [id, ['a test']]))

let home: string
let store: ImageStore
let other: ImageStore

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-archives-'))
  store = openImageStore(path.join(home, 'store'))
  other = openImageStore(path.join(home, 'other'))
})

afterEach(async () => {
  await Promise.all([store.flushed(), other.flushed()])
  fs.rmSync(home, { recursive: true })
})

async function bytesOf(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

async function twoImages(): Promise<void> {
  await store.tag((await store.resolve('host:sh')).id, 'one:1')
  await store.tag((await store.resolve('host:sh,coreutils')).id, 'registry.example/two:2')
  await store.tag('one:1', 'uno:1')
}

describe('save() and load()', () => {
  const names = ['registry.example/two:2', 'one:1', 'uno:1']

  test('several images in one archive come back with their names and digests', async () => {
    await twoImages()
    const archive = await bytesOf(store.archives.save(names))
    expect(archive.equals(await bytesOf(store.archives.save(names.toReversed())))).toBe(true)
    const loaded = await other.archives.load(inChunks(archive, 100_000))
    expect(loaded.flatMap((image) => image.names).sort()).toEqual([
      'docker.io/library/one:1',
      'docker.io/library/uno:1',
      'registry.example/two:2',
    ])
    const imageOf = (name: string): object => ({ ...store.inspect(name), madeHere: undefined })
    for (const name of names) expect(other.inspect(name)).toEqual(imageOf(name))
    expect((await bytesOf(other.archives.save(names))).equals(archive)).toBe(true)
    const third = openImageStore(path.join(home, 'third'))
    await third.archives.load(inChunks(zlib.gzipSync(archive), 100_000))
    expect(third.inspect('one:1')).toEqual(imageOf('one:1'))
    await third.flushed()
  })

  test('a file is read where it is, unless it is another than was seen', async () => {
    await twoImages()
    const file = path.join(home, 'one.tar')
    fs.writeFileSync(file, await bytesOf(store.archives.save(['one:1'])))
    const { dev, ino, size, mtimeNs } = fs.statSync(file, { bigint: true })
    const version = [dev, ino, size, mtimeNs].join(':')
    for (const other of [`${dev}:${ino}:${size}:1`, `${dev}:1:${size}:${mtimeNs}`])
      expect(await store.archives.loadFile({ path: file, version: other })).toBeUndefined()
    expect(await store.archives.loadFile({ path: `${file}x`, version })).toBeUndefined()
    expect(await store.archives.loadFile({ path: home, version })).toBeUndefined()
    const loaded = await other.archives.loadFile({ path: file, version })
    expect(loaded?.flatMap((image) => image.names)).toEqual(['docker.io/library/one:1'])
    expect(other.inspect('one:1')).toEqual({ ...store.inspect('one:1'), madeHere: undefined })
    expect(fs.readdirSync(path.join(home, 'other/tmp'))).toEqual([])
    expect(fs.existsSync(file)).toBe(true)
  })

  test('an archive that breaks off, and one that is none, leave nothing', async () => {
    await twoImages()
    const archive = await bytesOf(store.archives.save(['one:1']))
    const half = archive.subarray(0, archive.length / 2)
    await expect(other.archives.load(inChunks(half, 100_000))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    const tree = tarOf([{ path: 'etc/hosts', content: 'x' }])
    await expect(other.archives.load(inChunks(tree))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      hint: expect.stringContaining('image import') as string,
    })
    expect(other.all()).toEqual([])
    expect(fs.readdirSync(path.join(home, 'other/tmp'))).toEqual([])
    expect(fs.readdirSync(path.join(home, 'other/blobs/sha256'))).toEqual([])
  })

  test('a name in an archive is taken if it is one, and nothing else', async () => {
    await twoImages()
    const [archive, layout] = [path.join(home, 'one.tar'), path.join(home, 'layout')]
    fs.writeFileSync(archive, await bytesOf(store.archives.save(['one:1'])))
    fs.mkdirSync(layout)
    execFileSync('tar', ['-xf', archive, '-C', layout])
    const index = fs.readFileSync(path.join(layout, 'index.json'), 'utf8')
    for (const [name, taken] of [
      ['host:sh', ['docker.io/library/host:sh']], // a repository, not what this host has
      ['../../x', []],
      ['short', ['docker.io/library/short:latest']],
    ] as const) {
      const text = index.replace('docker.io/library/one:1', name)
      fs.writeFileSync(path.join(layout, 'index.json'), text)
      execFileSync('tar', ['-cf', archive, '-C', layout, '.'])
      const [loaded] = await other.archives.load(inChunks(fs.readFileSync(archive), 100_000))
      expect(loaded?.names).toEqual(taken)
    }
  })

  const without = missingPrograms('skopeo', 'umoci')
  test.skipIf(without !== '')(`other programs read it${without}`, async () => {
    await twoImages()
    const file = path.join(home, 'one.tar')
    fs.writeFileSync(file, await bytesOf(store.archives.save(['one:1'])))
    const digest = (transport: string, at = file): string =>
      execFileSync('skopeo', ['inspect', '--format', '{{.Digest}}', `${transport}:${at}`], {
        encoding: 'utf8',
      }).trim()
    expect(digest('oci-archive')).toBe(store.inspect('one:1').digest)
    expect(digest('docker-archive')).toMatch(/^sha256:/)
    const layout = path.join(home, 'layout')
    fs.mkdirSync(layout)
    execFileSync('tar', ['-xf', file, '-C', layout])
    expect(execFileSync('umoci', ['ls', '--layout', layout]).toString().trim()).toBe('1')
    expect(digest('oci', `${layout}:1`)).toBe(store.inspect('one:1').digest)
    execFileSync('umoci', ['unpack', '--image', `${layout}:1`, path.join(home, 'bundle')])
    expect(fs.existsSync(path.join(home, 'bundle/rootfs/bin/sh'))).toBe(true)

    const theirs = path.join(home, 'theirs.tar')
    execFileSync('skopeo', ['copy', '-q', `oci-archive:${file}`, `docker-archive:${theirs}:a:1`])
    const [loaded] = await other.archives.load(inChunks(fs.readFileSync(theirs), 100_000))
    expect(loaded?.image.id).toBe(store.inspect('one:1').id)
    expect(loaded?.names).toEqual(['docker.io/library/a:1'])
  })
})

describe('importTree()', () => {
  test('makes an image of a root file system, the same each time', async () => {
    const tree = tarOf([{ path: 'etc/hostname', content: 'imported\n' }])
    const image = await store.archives.importTree(inChunks(zlib.gzipSync(tree)))
    expect(await other.archives.importTree(inChunks(tree))).toEqual(image)
    const file = path.join(store.layerPath(image.layers[0] ?? ''), 'etc/hostname')
    expect(fs.readFileSync(file, 'utf8')).toBe('imported\n')
    await store.tag(image.id, 'imported:1')
    await other.archives.load(store.archives.save(['imported:1']))
    expect(other.inspect('imported:1').digest).toBe(image.digest)
  })
})

describe('remove() and prune()', () => {
  test('names first, then the image, its layers only when no other has them', async () => {
    await twoImages()
    const one = store.inspect('one:1')
    await expect(store.remove(one.id)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' })
    expect(await store.remove('uno:1')).toEqual({
      ...{ untagged: ['uno:1'], deleted: [], reclaimedBytes: 0 },
    })
    const inUse = (): ImagesInUse => usedBy(one.id)
    await expect(store.remove(one.id, { all: true, inUse })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    })
    const removed = await store.remove(one.id, { all: true })
    expect(removed).toMatchObject({ untagged: ['host:sh', 'one:1'], deleted: [one.id] })
    expect(store.usage(new Map()).totalBytes).toBeGreaterThan(0)

    const two = store.inspect('registry.example/two:2')
    const kept = await store.prune({ all: true, inUse: () => usedBy(two.id) })
    expect(kept.deleted).toEqual([])
    const before = store.usage(new Map()).totalBytes
    const pruned = await store.prune({ all: true })
    expect(pruned.deleted).toEqual([two.id])
    expect(pruned.reclaimedBytes).toBe(before)
    expect(store.usage(new Map()).totalBytes).toBe(0)
  })
})
