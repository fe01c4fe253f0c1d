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

/** An OCI layout of layers with a file each, packed as told. */
function writeLayout(packings: readonly ('none' | 'gzip' | 'zstd')[]): string {
  const directory = fs.mkdtempSync(path.join(home, 'layout-'))
  fs.mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true })
  const put = (
    bytes: Buffer,
    mediaType: string,
  ): { mediaType: string; digest: string; size: number } => {
    fs.writeFileSync(path.join(directory, 'blobs/sha256', sha256(bytes).slice(7)), bytes)
    return { mediaType, digest: sha256(bytes), size: bytes.length }
  }
  const pack = {
    none: (tar: Buffer) => tar,
    gzip: (tar: Buffer) => zlib.gzipSync(tar),
    zstd: (tar: Buffer) => zlib.zstdCompressSync(tar),
  }
  const tars = packings.map((_, index) =>
    tarOf([{ path: `file-${String(index)}`, content: Buffer.from(`layer ${String(index)}`) }]),
  )
  const layers = packings.map((packing, index) => {
    const suffix = packing === 'none' ? '' : `+${packing}`
    const tar = tars[index] ?? Buffer.alloc(0)
    return put(pack[packing](tar), `application/vnd.oci.image.layer.v1.tar${suffix}`)
  })
  const config = put(
    Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        config: { Cmd: ['/run'] },
        rootfs: { type: 'layers', diff_ids: tars.map(sha256) },
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
  test('a host image comes back with the digest that it had', async () => {
    const image = await store.resolve('host:sh,coreutils')
    const name = `${registry.host}/made/host:1`
    await store.tag(image.id, name)
    const pushed = await store.remote.push(name)
    expect(pushed.digest).toBe(image.digest)

    const other = openImageStore(path.join(home, 'other'))
    const { image: pulled, isNew } = await other.remote.pull(name)
    expect(isNew).toBe(true)
    expect(pulled).toEqual(image)
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
    const layout = writeLayout(['gzip', 'zstd', 'none'])
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
    const more = writeLayout(['gzip', 'zstd', 'none', 'gzip'])
    await store.tag((await store.resolve(`oci:${more}:v1`)).id, derived)
    expect(await statesOf(derived)).toEqual(['mounted', 'mounted', 'mounted', 'pushed'])
    const mounts = (): string[] =>
      registry
        .log()
        .split('\n')
        .filter((line) => /"POST .*derived.*from=.* 201 /.test(line))
    await expect.poll(() => mounts().length).toBe(3) // it writes its log when it has answered

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

describe.skipIf(withoutSkopeo !== '')(`beside skopeo${withoutSkopeo}`, () => {
  const skopeo = (...args: readonly string[]): string =>
    execFileSync('skopeo', args, { encoding: 'utf8' })

  test('it reads what we push, and we read what it pushes, with the same digests', async () => {
    const image = await store.resolve('host:sh')
    const ours = `${registry.host}/ours:1`
    await store.tag(image.id, ours)
    await store.remote.push(ours)
    const seen = JSON.parse(skopeo('inspect', '--tls-verify=false', `docker://${ours}`)) as {
      Digest: string
    }
    expect(seen.Digest).toBe(image.digest)
    const raw = skopeo('inspect', '--raw', '--tls-verify=false', `docker://${ours}`)
    expect(sha256(Buffer.from(raw))).toBe(image.digest)
    const asIs = ['copy', '--preserve-digests', '--src-tls-verify=false', '--dest-tls-verify=false']
    skopeo(...asIs, `docker://${ours}`, `oci:${home}/copied:v1`)
    const theirs = `${registry.host}/theirs:1`
    skopeo(...asIs, `oci:${home}/copied:v1`, `docker://${theirs}`)
    const other = openImageStore(path.join(home, 'other'))
    expect((await other.remote.pull(theirs)).image).toEqual(image)
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
