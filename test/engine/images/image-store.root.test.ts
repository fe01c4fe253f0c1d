import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Image } from '../../../src/engine/images/image.ts'
import { openImageStore, type ImageStore } from '../../../src/engine/images/image-store.ts'
import type { ImagesInUse } from '../../../src/engine/images/image-usage.ts'
import { inChunks, tarOf, type HandMadeEntry } from './tar-archive.ts'

const usedBy = (...ids: string[]): ImagesInUse => new Map(ids.map((id) => [id, ['a test']]))

let home: string
let root: string
let store: ImageStore

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-images-'))
  root = path.join(home, 'store')
  store = openImageStore(root)
})

afterEach(async () => {
  await store.flushed()
  fs.rmSync(home, { recursive: true })
})

const at = (...names: string[]): string => path.join(home, ...names)
const digestOf = (bytes: Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** All that the store holds, to compare before and after. */
/** Links are not followed: they lead out of the layer. */
function contentsOf(directory: string): string[] {
  return execFileSync('find', [directory, '-mindepth', '1', '-printf', '%P\n'], {
    encoding: 'utf8',
  })
    .trimEnd()
    .split('\n')
    .filter((name) => !name.startsWith('unsynced/'))
    .sort()
}

interface Layout {
  readonly layers: readonly Buffer[]
  /** How each is packed. */
  readonly pack?: (tar: Buffer) => Buffer
  readonly name?: string
  readonly architecture?: string
  /** Changes what is written, after all digests are known. */
  readonly spoil?: (blobs: Map<string, Buffer>, layerDigests: readonly string[]) => void
}

/** Writes an OCI image layout; returns its directory. */
function writeLayout({ layers, pack = (tar) => tar, name = 'v1', ...rest }: Layout): string {
  const blobs = new Map<string, Buffer>()
  const put = (bytes: Buffer): { digest: string; size: number; mediaType: string } => {
    blobs.set(digestOf(bytes), bytes)
    return { digest: digestOf(bytes), size: bytes.length, mediaType: 'application/octet-stream' }
  }
  const packed = layers.map((tar) => put(pack(tar)))
  const config = put(
    Buffer.from(
      JSON.stringify({
        architecture: rest.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch),
        os: 'linux',
        config: { Env: ['A=1'], Cmd: ['/run'] },
        rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
      }),
    ),
  )
  const manifest = put(Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: packed })))
  rest.spoil?.(
    blobs,
    packed.map(({ digest }) => digest),
  )
  const directory = at('layout')
  fs.rmSync(directory, { recursive: true, force: true })
  fs.mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true })
  for (const [digest, bytes] of blobs) {
    fs.writeFileSync(path.join(directory, 'blobs/sha256', digest.slice(7)), bytes)
  }
  const annotations = { 'org.opencontainers.image.ref.name': name }
  fs.writeFileSync(
    path.join(directory, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  )
  return directory
}

function treeOf(image: Image, index = -1): string {
  return store.layerPath(image.layers.at(index) ?? '')
}

const FILES: readonly HandMadeEntry[] = [
  { path: 'd', type: '5', mode: 0o755 },
  { path: 'd/f', content: 'hello' },
]

describe('host: images', () => {
  test('resolve() assembles a program with its libraries: it runs in them alone', async () => {
    const image = await store.resolve('host:sh,coreutils')
    const merged = at('root')
    for (const layer of image.layers)
      execFileSync('cp', ['-a', `${store.layerPath(layer)}/.`, merged])
    const output = execFileSync(
      '/usr/sbin/chroot',
      [merged, '/bin/sh', '-c', 'ls / && echo $((40+2)) && id -un'],
      {
        encoding: 'utf8',
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      },
    )
    expect(output.split('\n')).toEqual(expect.arrayContaining(['etc', 'tmp', '42', 'root']))
    expect(image.config.cmd).toEqual(['sh'])
    expect(image.config.env.PATH).toContain('/usr/bin')
    expect(fs.statSync(path.join(merged, 'tmp')).mode & 0o7777).toBe(0o1777)
    expect(fs.statSync(path.join(merged, 'root')).mode & 0o7777).toBe(0o700)
    expect(fs.readFileSync(path.join(merged, 'etc/hosts'), 'utf8')).toBe('')
  })

  test('resolve() never takes secrets of the host', async () => {
    const image = await store.resolve('host:sh')
    const names = image.layers.flatMap((layer) => contentsOf(store.layerPath(layer)))
    expect(names).toContain('etc/passwd')
    expect(names.filter((name) => /shadow|ssh|private/.test(name))).toEqual([])
    await expect(store.resolve('host:/etc/shadow')).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    })
  })

  test('resolve() gives the same image for the same words in any order, and in another store', async () => {
    const image = await store.resolve('host:sh,env')
    expect(await store.resolve('host:env, sh')).toEqual(image)
    expect(await openImageStore(at('other')).resolve('host:sh,env')).toEqual(image)
  })

  test('images share the layers of the items that they share', async () => {
    const small = await store.resolve('host:sh,env')
    const large = await store.resolve('host:sh,env,cat')
    expect(large.layers).toEqual(expect.arrayContaining([...small.layers]))
  })

  test('resolve() of an unchanged image costs a small part of assembling it', async () => {
    const startCold = performance.now()
    await store.resolve('host:sh,coreutils')
    const cold = performance.now() - startCold
    const times: number[] = []
    for (let round = 0; round < 20; round++) {
      const start = performance.now()
      await store.resolve('host:sh,coreutils')
      times.push(performance.now() - start)
    }
    expect(cold / Math.min(...times)).toBeGreaterThan(10)
  })

  test('resolve() notices that a file has changed, and only then makes another image', async () => {
    const directory = at('app')
    fs.mkdirSync(directory)
    fs.writeFileSync(path.join(directory, 'run'), '#!/bin/sh\necho one\n', { mode: 0o755 })
    const reference = `host:${directory}`
    const one = await store.resolve(reference)
    expect(await store.resolve(reference)).toEqual(one)
    fs.writeFileSync(path.join(directory, 'run'), '#!/bin/sh\necho two and more\n')
    const two = await store.resolve(reference)
    expect(two.id).not.toBe(one.id)
    fs.writeFileSync(path.join(directory, 'new'), '')
    expect((await store.resolve(reference)).id).not.toBe(two.id)
    // Its interpreter came along.
    const names = two.layers.flatMap((layer) => contentsOf(store.layerPath(layer)))
    expect(names.some((name) => /bin\/(sh|dash|bash)$/.test(name))).toBe(true)
  })

  test('a program that is not in a system directory appears in /usr/local/bin', async () => {
    fs.mkdirSync(at('bin'))
    fs.writeFileSync(at('bin/tsstack-tool'), '#!/bin/sh\n', { mode: 0o755 })
    const image = await openImageStore(at('other'), { path: at('bin') }).resolve(
      'host:tsstack-tool',
    )
    const names = image.layers.flatMap((layer) =>
      contentsOf(at('other/layers', layer.slice(7), 'tree')),
    )
    expect(names).toContain('usr/local/bin/tsstack-tool')
  })

  test.skipIf(!fs.existsSync('/var/lib/dpkg/info/libc-bin.list'))(
    'a Debian package comes without its documentation',
    async () => {
      const image = await store.resolve('host:pkg:libc-bin')
      const names = image.layers.flatMap((layer) => contentsOf(store.layerPath(layer)))
      expect(names).toContain('usr/bin/getent')
      expect(names.filter((name) => name.startsWith('usr/share/doc'))).toEqual([])
    },
  )

  test.each([
    'host:tsstack-no-such-program',
    'host:pkg:tsstack-no-such-package',
    'host:/tsstack/no/such/path',
  ])('resolve() says that %s is not here', async (reference) => {
    await expect(store.resolve(reference)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(store.list()).toEqual([])
  })

  test.each(['host:/', 'host:/proc', 'host:/dev/null'])(
    'resolve() refuses %s',
    async (reference) => {
      await expect(store.resolve(reference)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    },
  )
})

describe('archives', () => {
  test.each<[string, (tar: Buffer) => Buffer]>([
    ['plain', (tar) => tar],
    ['gzip', (tar) => zlib.gzipSync(tar)],
    ['zstd', (tar) => zlib.zstdCompressSync(tar)],
  ])('resolve() imports an OCI layout with %s layers', async (_, pack) => {
    const layers = [tarOf(FILES), tarOf([{ path: 'd/.wh.f' }])]
    const image = await store.resolve(`oci:${writeLayout({ layers, pack })}:v1`)
    expect(image.config).toMatchObject({ env: { A: '1' }, cmd: ['/run'] })
    expect(image.sizeBytes).toBe(5)
    expect(image.layers).toEqual(layers.map(digestOf))
    expect(fs.readFileSync(path.join(treeOf(image, 0), 'd/f'), 'utf8')).toBe('hello')
    expect(fs.lstatSync(path.join(treeOf(image), 'd/f')).isCharacterDevice()).toBe(true)
  })

  test('resolve() imports the same image from a layout, its archive, and its compressed archive', async () => {
    const directory = writeLayout({ layers: [tarOf(FILES)] })
    execFileSync('tar', ['-C', directory, '-cf', at('a.tar'), '.'])
    execFileSync('tar', ['-C', directory, '-czf', at('a.tgz'), '.'])
    const image = await store.resolve(`oci:${directory}`)
    expect(await store.resolve(`oci-archive:${at('a.tar')}:v1`)).toEqual(image)
    expect(await store.resolve('oci-archive:a.tgz', { baseDir: home })).toEqual(image)
    await expect(store.resolve(`oci:${directory}:v2`)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('importArchive() takes what docker save writes, with its names', async () => {
    const [one, two] = [tarOf(FILES), tarOf([{ path: 'x', content: 'y' }])]
    const config = JSON.stringify({
      os: 'linux',
      rootfs: { diff_ids: [digestOf(one), digestOf(two), digestOf(one)] },
    })
    const manifest = [
      {
        Config: 'c.json',
        RepoTags: ['nginx:1', 'me/app:2'],
        Layers: ['1/layer.tar', '2/layer.tar', '3/layer.tar'],
      },
    ]
    const archive = tarOf([
      { path: '1/layer.tar', content: one },
      { path: '2/layer.tar', content: zlib.gzipSync(two) },
      { path: '3/layer.tar', type: '2', link: '../1/layer.tar' },
      { path: 'c.json', content: config },
      { path: 'manifest.json', content: JSON.stringify(manifest) },
    ])
    fs.writeFileSync(at('saved.tar'), archive)
    const records = await store.importArchive(`docker-archive:${at('saved.tar')}`)
    expect(records.map(({ reference }) => reference)).toEqual(['nginx:1', 'me/app:2'])
    expect(await store.resolve('nginx:1')).toEqual(records[0]?.image)
    expect(await store.resolve(`docker-archive:${at('saved.tar')}:me/app:2`)).toEqual(
      records[0]?.image,
    )
    await expect(store.resolve(`docker-archive:${at('saved.tar')}:redis`)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  test('resolve() takes a plain directory for a root file system, and notices changes', async () => {
    fs.mkdirSync(at('rootfs/bin'), { recursive: true })
    fs.writeFileSync(at('rootfs/bin/sh'), 'x')
    fs.linkSync(at('rootfs/bin/sh'), at('rootfs/bin/twin'))
    fs.chownSync(at('rootfs/bin/sh'), 1234, 5678)
    const image = await store.resolve(`dir:${at('rootfs')}`)
    const stats = fs.statSync(path.join(treeOf(image), 'bin/sh'))
    expect([stats.uid, stats.gid, stats.nlink]).toEqual([1234, 5678, 2])
    expect(image.config.cmd).toEqual(['sh'])
    fs.writeFileSync(at('rootfs/new'), '')
    expect((await store.resolve(`dir:${at('rootfs')}`)).id).not.toBe(image.id)
  })

  test("resolve() takes containers/image's directory form", async () => {
    const layout = writeLayout({ layers: [tarOf(FILES)] })
    const image = await store.resolve(`oci:${layout}`)
    fs.cpSync(path.join(layout, 'blobs/sha256'), at('dir'), { recursive: true })
    fs.renameSync(at('dir', image.digest.slice(7)), at('dir/manifest.json'))
    fs.writeFileSync(at('dir/version'), 'Directory Transport Version: 1.1\n')
    expect(await store.resolve(`dir:${at('dir')}`)).toEqual(image)
  })

  const gzip = (tar: Buffer): Buffer => zlib.gzipSync(tar)
  const replace =
    (change: (bytes: Buffer) => Buffer): NonNullable<Layout['spoil']> =>
    (blobs, [, digest = '']) => {
      blobs.set(digest, change(blobs.get(digest) ?? Buffer.alloc(0)))
    }
  const second = tarOf([{ path: 'second', content: 'x'.repeat(100_000) }])

  test.each<[string, Omit<Layout, 'layers'> & { layers?: readonly Buffer[] }]>([
    [
      'a blob that is not of its digest',
      { spoil: replace((bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from('x')])) },
    ],
    [
      'a blob that unpacks well but is not of its digest',
      {
        pack: gzip,
        spoil: replace((bytes) => {
          const other = Buffer.from(bytes)
          other[4] = 1 // the time in gzip's header (RFC 1952)
          return other
        }),
      },
    ],
    ['a blob that is cut', { pack: gzip, spoil: replace((bytes) => bytes.subarray(0, 100)) }],
    ['a blob that goes on', { spoil: replace((bytes) => Buffer.concat([bytes, bytes])) }],
    ['a blob that is missing', { spoil: (blobs, [, digest = '']) => void blobs.delete(digest) }],
    ['gzip that is truncated', { pack: (tar) => gzip(tar).subarray(0, 60) }],
    [
      'gzip that is damaged',
      { pack: (tar) => Buffer.concat([gzip(tar).subarray(0, 20), Buffer.alloc(60, 0xee)]) },
    ],
    [
      'zstd that is damaged',
      {
        pack: (tar) =>
          Buffer.concat([zlib.zstdCompressSync(tar).subarray(0, 10), Buffer.alloc(60, 0xee)]),
      },
    ],
    ['a diffId of another content', { pack: (tar) => Buffer.concat([tar, Buffer.alloc(512)]) }],
    ['a layer that is no tar file', { layers: [tarOf(FILES), Buffer.alloc(2048, 'x')] }],
    [
      'a hostile second layer',
      { layers: [tarOf(FILES), tarOf([{ path: 'ok' }, { path: '../evil' }])] },
    ],
    [
      'a layer that is cut',
      {
        layers: [
          tarOf(FILES),
          tarOf([{ path: 'f', content: 'x'.repeat(2000) }], { end: false }).subarray(0, 1024),
        ],
      },
    ],
  ])('resolve() refuses %s, and the store is as before', async (_, { layers, ...rest }) => {
    const directory = writeLayout({ layers: layers ?? [tarOf(FILES), second], ...rest })
    const before = contentsOf(root)
    await expect(store.resolve(`oci:${directory}:v1`)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    expect(contentsOf(root)).toEqual(before)
    expect(store.list()).toEqual([])
  })

  test('resolve() refuses an image for another machine', async () => {
    const directory = writeLayout({ layers: [], architecture: 's390x' })
    await expect(store.resolve(`oci:${directory}`)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    })
  })

  test('resolve() does not follow a link out of a layout', async () => {
    const directory = writeLayout({ layers: [] })
    fs.renameSync(path.join(directory, 'index.json'), at('index.json'))
    fs.symlinkSync(at('index.json'), path.join(directory, 'index.json'))
    await expect(store.resolve(`oci:${directory}`)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  test.each([
    'oci:/tsstack/none',
    'oci-archive:/tsstack/none',
    'docker-archive:/tsstack/none',
    'dir:/tsstack/none',
  ])('resolve() says that %s does not exist', async (reference) => {
    await expect(store.resolve(reference)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('resolve() refuses a relative path that starts nowhere', async () => {
    await expect(store.resolve('oci:layout')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

describe('the store', () => {
  const importOne = (): Promise<Image> =>
    store.resolve(`oci:${writeLayout({ layers: [tarOf(FILES)] })}`)

  test('tag(), inspect(), list() and resolve() speak of the same image', async () => {
    const image = await importOne()
    await store.tag(image.id, 'app:1')
    for (const name of ['app:1', 'docker.io/library/app:1', image.id, image.id.slice(7, 20)]) {
      expect(store.inspect(name)).toEqual(image)
    }
    expect(await store.resolve('app:1')).toEqual(image)
    expect(await store.resolve(`other@${image.digest}`)).toEqual(image)
    expect(store.list().map(({ reference }) => reference)).toEqual([`oci:${at('layout')}`, 'app:1'])
    await expect(store.resolve('app:2')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(store.tag('app:2', 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(store.tag('app:1', 'host:x')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('remove() takes the image with its last name, unless a container uses it', async () => {
    const empty = contentsOf(root)
    const image = await importOne()
    await store.tag(image.id, 'app:1')
    await store.remove(`oci:${at('layout')}`)
    expect(store.inspect('app:1')).toEqual(image)
    await expect(store.remove('app:1', { inUse: () => usedBy(image.id) })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    })
    await store.remove('app:1')
    expect(contentsOf(root).filter((name) => name !== 'references.json')).toEqual(empty)
    await expect(store.remove('app:1')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('prune() keeps what has a name or is in use', async () => {
    fs.mkdirSync(at('rootfs'))
    const old = await store.resolve(`dir:${at('rootfs')}`)
    fs.writeFileSync(at('rootfs/new'), '')
    const current = await store.resolve(`dir:${at('rootfs')}`)
    await store.prune({ inUse: () => usedBy(old.id) })
    expect(store.inspect(old.id)).toEqual(old)
    await store.prune()
    expect(() => store.inspect(old.id)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }))
    expect(fs.existsSync(treeOf(old))).toBe(false)
    expect(await store.resolve(`dir:${at('rootfs')}`)).toEqual(current)
    expect(fs.existsSync(path.join(treeOf(current), 'new'))).toBe(true)
  })

  test('prune() of what was replaced leaves what never had a name', async () => {
    const nameless = await store.archives.importTree(inChunks(tarOf(FILES)))
    fs.mkdirSync(at('rootfs'))
    const old = await store.resolve(`dir:${at('rootfs')}`)
    fs.writeFileSync(at('rootfs/new'), '')
    const current = await store.resolve(`dir:${at('rootfs')}`)
    const again = openImageStore(root) // the marks are on disk
    expect((await again.prune({ replacedOnly: true })).deleted).toEqual([old.id])
    expect(
      again
        .all()
        .map(({ id }) => id)
        .sort(),
    ).toEqual([nameless.id, current.id].sort())
    expect((await again.prune()).deleted).toEqual([nameless.id])
    expect(fs.readdirSync(path.join(root, 'replaced'))).toEqual([])
  })

  test('opened again it knows what it knew, and forgets what was half-made', async () => {
    const image = await importOne()
    await store.tag(image.id, 'app:1')
    await store.flushed()
    fs.mkdirSync(path.join(root, 'tmp/half-made/tree'), { recursive: true })
    fs.mkdirSync(path.join(root, 'layers', '0'.repeat(64), 'tree'), { recursive: true }) // no record
    const again = openImageStore(root)
    expect(again.inspect('app:1')).toEqual(image)
    await expect.poll(() => fs.readdirSync(path.join(root, 'tmp'))).toEqual([])
    await again.prune()
    expect(fs.readdirSync(path.join(root, 'layers'))).toEqual([image.layers[0]?.slice(7)])
  })

  test('after a power failure what was not on the disk yet does not count', async () => {
    const image = await importOne()
    await store.flushed()
    expect(fs.readdirSync(path.join(root, 'unsynced'))).toEqual([])
    const hex = image.layers[0]?.slice(7) ?? ''
    fs.writeFileSync(path.join(root, 'unsynced', `another-boot.layers.${hex}`), '')
    const again = openImageStore(root)
    expect(again.list()).toEqual([])
    expect(fs.readdirSync(path.join(root, 'unsynced'))).toEqual([])
    expect(await again.resolve(`oci:${at('layout')}`)).toEqual(image)
    expect(fs.readFileSync(path.join(treeOf(image), 'd/f'), 'utf8')).toBe('hello')
    await again.flushed()
  })
})
