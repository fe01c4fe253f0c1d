/** The store against Debian's docker-registry: what is pushed comes back, by us and by skopeo. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openImageStore, type ImageStore } from '../../../src/engine/images/image-store.ts'
import type { LayerEvent } from '../../../src/engine/images/pull-image.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../../registry-fixture.ts'
import { tarOf } from './tar-archive.ts'

const without = missingPrograms('docker-registry')
const withoutSkopeo = missingPrograms('docker-registry', 'skopeo')
const withoutUsers = missingPrograms('docker-registry', 'htpasswd')

let home: string
let store: ImageStore
let registry: RegistryFixture

beforeAll(async () => {
  if (without === '') registry = await startRegistry()
})

afterAll(async () => {
  if (without === '') await registry.close()
})

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-remote-'))
  store = openImageStore(path.join(home, 'store'))
})

afterEach(async () => {
  await store.flushed()
  fs.rmSync(home, { recursive: true })
})

const sha256 = (bytes: Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const PACK = {
  none: (tar: Buffer) => tar,
  gzip: (tar: Buffer) => zlib.gzipSync(tar),
  zstd: (tar: Buffer) => zlib.zstdCompressSync(tar),
}

interface PackedTar {
  readonly tar: Buffer
  readonly packed: Buffer
  readonly packing: keyof typeof PACK
}

/** Layers with a file each, packed as told. */
function layersOf(packings: readonly (keyof typeof PACK)[]): PackedTar[] {
  return packings.map((packing, index) => {
    const content = Buffer.from(`layer ${String(index)}`)
    const tar = tarOf([{ path: `file-${String(index)}`, content }])
    return { tar, packed: PACK[packing](tar), packing }
  })
}

/** An OCI layout. */
function writeLayout(tars: readonly PackedTar[]): string {
  const directory = fs.mkdtempSync(path.join(home, 'layout-'))
  fs.mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true })
  const put = (
    bytes: Buffer,
    mediaType: string,
  ): { mediaType: string; digest: string; size: number } => {
    fs.writeFileSync(path.join(directory, 'blobs/sha256', sha256(bytes).slice(7)), bytes)
    return { mediaType, digest: sha256(bytes), size: bytes.length }
  }
  const layers = tars.map(({ packed, packing }) =>
    put(packed, `application/vnd.oci.image.layer.v1.tar${packing === 'none' ? '' : `+${packing}`}`),
  )
  const config = put(
    Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        config: { Cmd: ['/run'] },
        rootfs: { type: 'layers', diff_ids: tars.map(({ tar }) => sha256(tar)) },
      }),
    ),
    'application/vnd.oci.image.config.v1+json',
  )
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const manifest = put(
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers })),
    mediaType,
  )
  fs.writeFileSync(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  fs.writeFileSync(
    path.join(directory, 'index.json'),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{ ...manifest, annotations: { 'org.opencontainers.image.ref.name': 'v1' } }],
    }),
  )
  return directory
}

describe.skipIf(without !== '')(`push and pull${without}`, () => {
  test('a host image comes back as it was, by the digest that it has there', async () => {
    const image = await store.resolve('host:sh,coreutils')
    const name = `${registry.host}/made/host:1`
    await store.tag(image.id, name)
    const pushed = await store.remote.push(name)

    const other = openImageStore(path.join(home, 'other'))
    const { image: pulled, isNew } = await other.remote.pull(name)
    expect(isNew).toBe(true)
    expect(pulled).toEqual({ ...image, digest: pushed.digest, madeHere: undefined })
    const lower = (of: ImageStore): string => of.layerPath(image.layers[0] ?? '')
    const list = (tree: string): string =>
      execFileSync(
        'sh',
        ['-c', `cd ${tree} && find . -printf '%p %y %m %U %G %s %T@ %l\\n' | sort`],
        {
          encoding: 'utf8',
        },
      )
    expect(list(lower(other))).toBe(list(lower(store)))
    expect((await other.remote.pull(name)).isNew).toBe(false)
    await other.flushed()
  })

  test('layers of every packing are pulled, and what is there already is not sent again', async () => {
    const layout = writeLayout(layersOf(['gzip', 'zstd', 'none']))
    const image = await store.resolve(`oci:${layout}:v1`)
    const name = `${registry.host}/packed:1`
    await store.tag(image.id, name)
    const statesOf = async (target: string): Promise<string[]> => {
      const events: LayerEvent[] = []
      await store.remote.push(target, { onLayer: (event) => events.push(event) })
      const last = new Map(events.map(({ digest, state }) => [digest, state]))
      return [...last.values()]
    }
    expect(await statesOf(name)).toEqual(['pushed', 'pushed', 'pushed'])
    expect(await statesOf(name)).toEqual(['present', 'present', 'present'])
    const elsewhere = `${registry.host}/mounted/here:1`
    await store.tag(image.id, elsewhere)
    expect(await statesOf(elsewhere)).toEqual(['mounted', 'mounted', 'mounted'])
    const derived = `${registry.host}/derived:1`
    const more = writeLayout(layersOf(['gzip', 'zstd', 'none', 'gzip']))
    await store.tag((await store.resolve(`oci:${more}:v1`)).id, derived)
    expect(await statesOf(derived)).toEqual(['mounted', 'mounted', 'mounted', 'pushed'])
    const mounts = (): string[] =>
      registry
        .log()
        .split('\n')
        .filter((line) => /"POST .*derived.*from=.* 201 /.test(line))
    // It writes its log when it has answered, and on a busy machine long after.
    await expect.poll(() => mounts().length, { timeout: 15_000 }).toBe(3)

    const other = openImageStore(path.join(home, 'other'))
    const { image: pulled } = await other.remote.pull(elsewhere)
    expect(pulled).toEqual(image)
    expect(
      pulled.layers.map((layer, index) =>
        fs.readFileSync(path.join(other.layerPath(layer), `file-${String(index)}`), 'utf8'),
      ),
    ).toEqual(['layer 0', 'layer 1', 'layer 2'])
    expect((await other.remote.pull(`${registry.host}/packed@${image.digest}`)).image).toEqual(
      image,
    )
    await other.flushed()
  })

  test('names that are not there are told apart from a registry that is not', async () => {
    await expect(store.remote.pull(`${registry.host}/nobody/has:this`)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    await expect(store.remote.pull('127.0.0.1:1/x')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(store.remote.push(`${registry.host}/nobody/has:this`)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })
})

interface RemoteManifest {
  readonly config: { readonly digest: string }
  readonly layers: readonly { readonly mediaType: string; readonly digest: string }[]
}

describe.skipIf(without !== '')(`layers that were made here${without}`, () => {
  async function* rootFs(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(tarOf([{ path: 'zeros', content: Buffer.alloc(100_000) }]))
  }

  /** @returns the digest that was pushed, and what became of the layer */
  async function push(
    from: ImageStore,
    name: string,
    compression?: keyof typeof PACK,
  ): Promise<{ digest: string; states: string[] }> {
    const events: LayerEvent[] = []
    const onLayer = (event: LayerEvent): unknown => events.push(event)
    const { digest } = await from.remote.push(name, { onLayer, compression })
    return { digest, states: [...new Set(events.map(({ state }) => state))] }
  }

  async function fetched(name: string, place: string): Promise<Buffer> {
    const accept = 'application/vnd.oci.image.manifest.v1+json'
    const url = `http://${registry.host}/v2/${name}/${place}`
    return Buffer.from(await (await fetch(url, { headers: { accept } })).arrayBuffer())
  }

  test('are compressed for a push, once, and the same everywhere', async () => {
    const nameOf = (repository: string): string => `${registry.host}/${repository}:1`
    const image = await store.archives.importTree(rootFs(), {
      names: ['own/gzip', 'own/other', 'own/zstd', 'own/none'].map(nameOf),
    })
    const first = await push(store, nameOf('own/gzip'))
    expect(first.states).toEqual(['waiting', 'compressing', 'uploading', 'pushed'])
    expect(fs.readdirSync(path.join(home, 'store/tmp'))).toEqual([])
    const bytes = await fetched('own/gzip', 'manifests/1')
    expect(sha256(bytes)).toBe(first.digest)
    const manifest = JSON.parse(bytes.toString()) as RemoteManifest
    expect(manifest.config.digest).toBe(image.id)
    const [layer] = manifest.layers
    expect(layer?.mediaType).toBe('application/vnd.oci.image.layer.v1.tar+gzip')
    const blob = await fetched('own/gzip', `blobs/${layer?.digest ?? ''}`)
    expect(blob.length).toBeLessThan(2000)
    expect(blob.readUInt32LE(4)).toBe(0) // no time
    expect(sha256(zlib.gunzipSync(blob))).toBe(image.layers[0])
    expect(store.remote.lastPull(nameOf('own/gzip'))?.remoteDigest).toBe(first.digest)
    expect(store.inspect(`${registry.host}/own/gzip@${first.digest}`)).toEqual(image)

    const again = { digest: first.digest, states: ['waiting', 'present'] }
    expect(await push(store, nameOf('own/gzip'))).toEqual(again)
    // What is remembered is no more than a guess.
    const [record = ''] = fs.readdirSync(path.join(home, 'store/compressed'))
    const file = path.join(home, 'store/compressed', record)
    const remembered = fs.readFileSync(file, 'utf8')
    fs.writeFileSync(file, JSON.stringify({ digest: sha256(Buffer.from('other')), size: 5 }))
    expect((await push(store, nameOf('own/gzip'))).digest).toBe(first.digest)
    expect(fs.readFileSync(file, 'utf8')).toBe(remembered)
    const mounted = { digest: first.digest, states: ['waiting', 'mounted'] }
    expect(await push(store, nameOf('own/other'))).toEqual(mounted)
    expect((await push(store, nameOf('own/none'), 'none')).digest).toBe(image.digest)
    await push(store, nameOf('own/zstd'), 'zstd')
    expect((await fetched('own/zstd', 'manifests/1')).toString()).toContain('tar+zstd"')

    const other = openImageStore(path.join(home, 'other'))
    await other.archives.importTree(rootFs(), { names: [nameOf('own/gzip')] })
    const states = ['waiting', 'compressing', 'present']
    expect((await push(other, nameOf('own/gzip'))).states).toEqual(states)
    await other.flushed()
    await store.remove(image.id, { all: true })
    expect(fs.readdirSync(path.join(home, 'store/compressed'))).toEqual([])
  })

  test('are those of archives that have no manifest, too', async () => {
    const name = `${registry.host}/archived:1`
    const image = await store.archives.importTree(rootFs(), { names: [name] })
    const file = path.join(home, 'saved.tar')
    await fs.promises.writeFile(file, store.archives.save([name]))
    const pushed = async (transport: string): Promise<string> => {
      const other = openImageStore(path.join(home, transport))
      const { id } = await other.resolve(`${transport}:${file}`)
      await other.tag(id, name)
      const { digest } = await push(other, name)
      await other.flushed()
      return digest
    }
    expect(await pushed('oci-archive')).toBe(image.digest)
    expect(await pushed('docker-archive')).toBe((await push(store, name)).digest)
  })

  test('are not fetched when they come back in the images of others', async () => {
    const name = `${registry.host}/back/base:1`
    const { layers } = await store.archives.importTree(rootFs(), { names: [name] })
    await push(store, name)
    const manifest = JSON.parse(
      (await fetched('back/base', 'manifests/1')).toString(),
    ) as RemoteManifest
    const digest = manifest.layers[0]?.digest ?? ''
    const packed = await fetched('back/base', `blobs/${digest}`)
    const base: PackedTar = { tar: zlib.gunzipSync(packed), packed, packing: 'gzip' }

    const other = openImageStore(path.join(home, 'other'))
    const layout = writeLayout([base, ...layersOf(['gzip'])])
    const derived = await other.resolve(`oci:${layout}:v1`)
    const derivedName = `${registry.host}/back/derived:1`
    await other.tag(derived.id, derivedName)
    await other.remote.push(derivedName)
    await other.flushed()

    const events: LayerEvent[] = []
    const pulled = await store.remote.pull(derivedName, { onLayer: (event) => events.push(event) })
    expect(pulled.image).toEqual(derived)
    expect(pulled.image.layers[0]).toBe(layers[0])
    const states = events.filter((event) => event.digest === digest).map(({ state }) => state)
    expect(states).toEqual(['waiting', 'compressing', 'extracting', 'done'])
    // It goes on as it came.
    await store.tag(derived.id, `${registry.host}/back/copied:1`)
    expect((await push(store, `${registry.host}/back/copied:1`)).digest).toBe(derived.digest)
  })
})

describe.skipIf(withoutSkopeo !== '')(`beside skopeo${withoutSkopeo}`, () => {
  const skopeo = (...args: readonly string[]): string =>
    execFileSync('skopeo', args, { encoding: 'utf8' })

  test('it reads what we push, and we read what it pushes, with the same digests', async () => {
    const image = await store.resolve('host:sh')
    const ours = `${registry.host}/ours:1`
    await store.tag(image.id, ours)
    const { digest } = await store.remote.push(ours)
    const seen = JSON.parse(skopeo('inspect', '--tls-verify=false', `docker://${ours}`)) as {
      Digest: string
    }
    expect(seen.Digest).toBe(digest)
    const raw = skopeo('inspect', '--raw', '--tls-verify=false', `docker://${ours}`)
    expect(sha256(Buffer.from(raw))).toBe(digest)
    const asIs = ['copy', '--preserve-digests', '--src-tls-verify=false', '--dest-tls-verify=false']
    skopeo(...asIs, `docker://${ours}`, `oci:${home}/copied:v1`)
    const theirs = `${registry.host}/theirs:1`
    skopeo(...asIs, `oci:${home}/copied:v1`, `docker://${theirs}`)
    const other = openImageStore(path.join(home, 'other'))
    expect((await other.remote.pull(theirs)).image).toEqual({
      ...image,
      digest,
      madeHere: undefined,
    })
    // As skopeo likes it best: packed, so with a manifest of its own.
    const packed = `${registry.host}/packed-by-skopeo:1`
    const repack = ['copy', '--dest-compress-format=zstd', '--dest-tls-verify=false']
    skopeo(...repack, `oci:${home}/copied:v1`, `docker://${packed}`)
    expect((await other.remote.pull(packed)).image.id).toBe(image.id)
    await other.flushed()
  })
})

describe.skipIf(withoutUsers !== '')(`a registry with users${withoutUsers}`, () => {
  test('lets in who is known, and says what the others lack', async () => {
    const guarded = await startRegistry({ user: { name: 'anna', password: 'secret' } })
    try {
      const name = `${guarded.host}/guarded:1`
      await store.tag((await store.resolve('host:sh')).id, name)
      const failure = {
        code: 'PERMISSION_DENIED',
        hint: expect.stringContaining('tsstack login') as string,
      }
      await expect(store.remote.push(name)).rejects.toMatchObject(failure)
      const wrong = { credentials: { username: 'anna', password: 'guess' } }
      await expect(store.remote.push(name, wrong)).rejects.toMatchObject(failure)
      const right = { credentials: { username: 'anna', password: 'secret' } }
      await store.remote.push(name, right)
      expect((await store.remote.pull(name, right)).isNew).toBe(false)
    } finally {
      await guarded.close()
    }
  })
})
