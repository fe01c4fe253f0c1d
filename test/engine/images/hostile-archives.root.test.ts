/**
 * A corpus of hostile archives, brought in by every way there is: each is refused with a clear error or contained, and
 * neither the host nor the store is another afterwards.
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sourceFromChunks } from '../../../src/engine/images/byte-source.ts'
import { isWhiteout } from '../../../src/engine/images/confined-tree.ts'
import { TsstackError } from '../../../src/errors.ts'
import { copyIntoTree } from '../../../src/engine/images/copy-into-tree.ts'
import { openImageStore, type ImageStore } from '../../../src/engine/images/image-store.ts'
import { listXattrs } from '../../../src/kernel/file-calls.ts'
import { HOSTILE_TREES, type HostileTree } from './hostile-trees.ts'
import {
  publishManifest,
  sha256,
  startScriptedRegistry,
  type ScriptedRegistry,
} from './scripted-registry.ts'
import { inChunks, tarOf, type HandMadeEntry } from './tar-archive.ts'

let home: string
let outside: string
let store: ImageStore
let registry: ScriptedRegistry

// One store for all: what a case leaves in it, its own comparison finds.
beforeAll(async () => {
  registry = await startScriptedRegistry()
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-corpus-'))
  outside = path.join(home, 'outside')
  fs.mkdirSync(outside)
  fs.writeFileSync(path.join(outside, 'canary'), 'untouched')
  store = openImageStore(path.join(home, 'store'))
})

afterAll(async () => {
  await registry.close()
  await store.flushed()
  fs.rmSync(home, { recursive: true })
})

/** Every path below a directory; links are not followed. */
function walk(root: string, below = ''): string[] {
  return fs.readdirSync(path.join(root, below)).flatMap((name) => {
    const at = path.posix.join(below, name)
    return [at, ...(fs.lstatSync(path.join(root, at)).isDirectory() ? walk(root, at) : [])]
  })
}

/** The file of names is made with the first one. */
const isBookkeeping = (name: string): boolean => /^(?:unsynced|references\.json)/.test(name)

/** What must not change: names, kinds, owners, modes and contents; of files their names and times, too. */
function stateOf(root: string): string[] {
  return walk(root)
    .filter((name) => !isBookkeeping(name))
    .map((name) => {
      const file = path.join(root, name)
      const stats = fs.lstatSync(file)
      const { mode, uid, gid, nlink, mtimeMs } = stats
      const ofFiles = stats.isFile() ? [nlink, mtimeMs, sha256(fs.readFileSync(file))] : []
      return [name, mode, uid, gid, ...ofFiles].join(' ')
    })
    .sort()
}

function kindOf(stats: fs.Stats): string {
  if (stats.isSymbolicLink()) return 'l'
  if (stats.isDirectory()) return 'd'
  if (stats.isFIFO()) return 'p'
  return isWhiteout(stats) ? 'w' : 'f'
}

const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch

function configOf(layers: readonly Buffer[]): Buffer {
  const diffIds = layers.map((layer) => sha256(layer))
  const rootfs = { type: 'layers', diff_ids: diffIds }
  return Buffer.from(JSON.stringify({ architecture: ARCHITECTURE, os: 'linux', rootfs }))
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

function archiveOf(files: Readonly<Record<string, Buffer>>): Buffer {
  return tarOf(Object.entries(files).map(([name, content]) => ({ path: name, content })))
}

const blobName = (digest: string): string => `blobs/sha256/${digest.slice(7)}`

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

interface Layout {
  readonly manifest: { readonly config: Descriptor; readonly layers: readonly Descriptor[] }
  readonly files: Record<string, Buffer>
}

/** An OCI image layout of one layer. */
function layoutOf(layer: Buffer, packed = layer): Layout {
  const config = configOf([layer])
  const descriptor = (mediaType: string, bytes: Buffer): Descriptor => ({
    mediaType,
    digest: sha256(bytes),
    size: bytes.length,
  })
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar', packed)],
  }
  const bytes = json(manifest)
  return {
    manifest,
    files: {
      'oci-layout': json({ imageLayoutVersion: '1.0.0' }),
      'index.json': json({ schemaVersion: 2, manifests: [descriptor(manifest.mediaType, bytes)] }),
      [blobName(sha256(bytes))]: bytes,
      [blobName(sha256(config))]: config,
      [blobName(sha256(packed))]: packed,
    },
  }
}

function dockerArchive(layer: Buffer): Buffer {
  const manifest = [{ Config: 'config.json', RepoTags: ['evil:1'], Layers: ['layer.tar'] }]
  return archiveOf({
    'manifest.json': json(manifest),
    'config.json': configOf([layer]),
    'layer.tar': layer,
  })
}

function load(archive: Buffer): Promise<unknown> {
  return store.archives.load(inChunks(archive, 100_000))
}

async function pull({ manifest, files }: Layout): Promise<unknown> {
  registry.blobs.clear()
  for (const bytes of Object.values(files)) registry.blobs.set(sha256(bytes), bytes)
  publishManifest(registry, manifest)
  return store.remote.pull(`${registry.host}/evil:1`)
}

interface Way {
  readonly bring: (layer: Buffer) => Promise<unknown>
  readonly takes: (tree: HostileTree, index: number) => boolean
}

/** The two forms of archives differ in what is around a layer, so they share the trees. */
const WAYS: Readonly<Record<string, Way>> = {
  'a Docker archive': {
    bring: (layer) => load(dockerArchive(layer)),
    takes: (_, index) => index % 2 === 0,
  },
  'an OCI layout': {
    bring: (layer) => load(archiveOf(layoutOf(layer, zlib.gzipSync(layer)).files)),
    takes: (_, index) => index % 2 === 1,
  },
  'a registry': {
    bring: (layer) => pull(layoutOf(layer, zlib.zstdCompressSync(layer))),
    takes: () => true,
  },
  'an import': {
    bring: (layer) => store.archives.importTree(inChunks(layer, 100_000)),
    takes: ({ isLayerOnly }) => isLayerOnly !== true,
  },
}

interface Before {
  readonly host: string[]
  readonly store: string[]
}

function look(): Before {
  return { host: stateOf(outside), store: stateOf(path.join(home, 'store')) }
}

async function refused(work: Promise<unknown>, message: string): Promise<void> {
  const failure: unknown = await work.then(
    () => 'it was taken',
    (error: unknown) => error,
  )
  expect(failure).toMatchObject({ code: 'INVALID_ARGUMENT' })
  expect(String(failure)).toContain(message)
}

function layerTree(): string {
  const [layer] = store.all()[0]?.layers ?? []
  return store.layerPath(layer ?? '')
}

function expectContained(holds: readonly string[] | undefined): void {
  const tree = layerTree()
  const files = walk(tree)
  const found = files.map((name) => `${kindOf(fs.lstatSync(path.join(tree, name)))} ${name}`)
  if (holds !== undefined) expect(found.sort()).toEqual(holds)
  for (const name of files) {
    const stats = fs.lstatSync(path.join(tree, name))
    if (stats.isSymbolicLink() || isWhiteout(stats)) continue
    const kept = listXattrs(path.join(tree, name)).filter((xattr) => xattr !== 'user.kept')
    // Opacity is what whiteouts are made to; it is the only mark of overlayfs's that a layer may have.
    expect(kept.filter((xattr) => xattr !== 'trusted.overlay.opaque')).toEqual([])
  }
}

for (const [way, { bring, takes }] of Object.entries(WAYS)) {
  describe(`${way} with`, () => {
    for (const { title, entries, refused: message, holds } of HOSTILE_TREES.filter(takes)) {
      test(title, async () => {
        const before = look()
        const layer = tarOf(entries(outside))
        if (message !== undefined) await refused(bring(layer), message)
        else {
          await bring(layer)
          expectContained(holds)
        }
        await store.prune({ all: true })
        expect(look()).toEqual(before)
      })
    }
  })
}

describe('a copy into a container of', () => {
  for (const { title, entries } of HOSTILE_TREES) {
    test(title, async () => {
      const before = look()
      const root = path.join(home, 'container')
      fs.mkdirSync(root)
      const rootFd = fs.openSync(root, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
      const source = sourceFromChunks(inChunks(tarOf(entries(outside)), 100_000))
      const ids = { keepIds: true, owner: 0 }
      try {
        // Refused as the archive's fault or for what is in its way; what is taken stays in the container.
        await copyIntoTree(source, { ...ids, rootFd, directory: '/' }).catch((error: unknown) => {
          expect(error).toBeInstanceOf(TsstackError)
          expect((error as TsstackError).code).toMatch(/^(?:INVALID_ARGUMENT|FAILED_PRECONDITION)$/)
        })
        expect(look()).toEqual(before)
        expect(fs.readdirSync(home).sort()).toEqual(['container', 'outside', 'store'])
      } finally {
        fs.closeSync(rootFd)
        fs.rmSync(root, { recursive: true })
      }
    })
  }
})

const HARMLESS: readonly HandMadeEntry[] = [{ path: 'file', content: 'x'.repeat(2000) }]

function replaced(layout: Layout, name: string, bytes: Buffer): Buffer {
  return archiveOf({ ...layout.files, [name]: bytes })
}

/** An index in an index in an index; the last is the first, as far as digests let it. */
function nestedIndexes(depth: number): Buffer {
  const layout = layoutOf(tarOf(HARMLESS))
  let index = layout.files['index.json'] ?? Buffer.alloc(0)
  const files = { ...layout.files }
  for (let level = 0; level < depth; level++) {
    files[blobName(sha256(index))] = index
    const mediaType = 'application/vnd.oci.image.index.v1+json'
    const entry = { mediaType, digest: sha256(index), size: index.length }
    index = json({ schemaVersion: 2, manifests: [entry] })
  }
  return archiveOf({ ...files, 'index.json': index })
}

/** Members of a gzip file, one after the other, are one file (RFC 1952, 2.2). */
function manyTimes(member: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => member))
}

describe('what is around a tree', () => {
  const layer = tarOf(HARMLESS)
  const layout = layoutOf(layer)
  const trailing = Buffer.concat([layer, Buffer.alloc(65 << 20)])
  const cases: Readonly<Record<string, { bring: () => Promise<unknown>; message: string }>> = {
    'a layer with another digest': {
      bring: () =>
        load(
          replaced(
            layout,
            blobName(sha256(layer)),
            tarOf([{ path: 'f', content: 'y'.repeat(2000) }]),
          ),
        ),
      message: 'digest',
    },
    'a layer that is shorter than its manifest says': {
      bring: () => load(replaced(layout, blobName(sha256(layer)), layer.subarray(0, 1024))),
      message: '',
    },
    'a layer that is truncated, with the right digest': {
      bring: () => load(archiveOf(layoutOf(layer.subarray(0, 1024)).files)),
      message: 'truncated',
    },
    'gzip data that breaks off': {
      bring: () => load(archiveOf(layoutOf(layer, zlib.gzipSync(layer).subarray(0, 60)).files)),
      message: 'gzip data',
    },
    'zstd data that is damaged': {
      bring: () => {
        const packed = Buffer.from(zlib.zstdCompressSync(layer))
        packed.fill(0xff, 10)
        return load(archiveOf(layoutOf(layer, packed).files))
      },
      message: 'zstd data',
    },
    'a gzip bomb behind the end': {
      bring: () => load(archiveOf(layoutOf(trailing, zlib.gzipSync(trailing)).files)),
      message: 'data follows the end',
    },
    'a zstd bomb behind the end': {
      bring: () => pull(layoutOf(trailing, zlib.zstdCompressSync(trailing))),
      message: 'data follows the end',
    },
    'an archive that grows without an end': {
      // 400 megabytes of zeros; not unpacked to their end.
      bring: () => load(manyTimes(zlib.gzipSync(Buffer.alloc(64 << 20)), 6)),
      message: 'become more than',
    },
    'a manifest of nine megabytes': {
      bring: () => load(archiveOf({ 'manifest.json': Buffer.alloc(9 << 20, ' ') })),
      message: 'larger than',
    },
    'a manifest that is garbage': {
      bring: () => load(archiveOf({ 'manifest.json': Buffer.from('{') })),
      message: 'not JSON',
    },
    'a manifest that is missing': {
      bring: () =>
        load(
          archiveOf({
            ...layout.files,
            'index.json': json({
              schemaVersion: 2,
              manifests: [{ digest: sha256(Buffer.from('none')), size: 4 }],
            }),
          }),
        ),
      message: 'is missing',
    },
    'a configuration that climbs out of the archive': {
      bring: () =>
        load(
          archiveOf({ 'manifest.json': json([{ Config: '../../../etc/hostname', Layers: [] }]) }),
        ),
      message: 'is missing',
    },
    'a layer that is a link out of the archive': {
      bring: () =>
        load(
          tarOf([
            { path: 'manifest.json', content: json([{ Config: 'c.json', Layers: ['l.tar'] }]) },
            { path: 'c.json', content: configOf([layer]) },
            { path: 'l.tar', type: '2', link: '/etc/hostname' },
          ]),
        ),
      message: 'is missing',
    },
    'links in a circle': {
      bring: () =>
        load(
          tarOf([
            { path: 'manifest.json', type: '2', link: 'b' },
            { path: 'b', type: '2', link: 'manifest.json' },
          ]),
        ),
      message: 'neither index.json nor manifest.json',
    },
    'indexes nested without an end': { bring: () => load(nestedIndexes(8)), message: 'nested' },
    'a descriptor of an absurd size': {
      bring: () => {
        const layers = [{ mediaType: '', digest: sha256(layer), size: 1e300 }]
        return pull({ ...layout, manifest: { ...layout.manifest, layers } })
      },
      message: 'size',
    },
    'more layers than anybody has': {
      bring: () => {
        const layers = Array.from({ length: 501 }, () => ({
          mediaType: '',
          digest: sha256(layer),
          size: layer.length,
        }))
        return pull({ ...layout, manifest: { ...layout.manifest, layers } })
      },
      message: 'more than 500 layers',
    },
    'an archive that is no archive': {
      bring: () => load(Buffer.alloc(4096, 'x')),
      message: 'Cannot',
    },
    'an archive that is empty': { bring: () => load(Buffer.alloc(0)), message: 'Cannot' },
  }
  for (const [title, { bring, message }] of Object.entries(cases)) {
    test(title, async () => {
      const before = look()
      await refused(bring(), message)
      expect(store.all()).toEqual([])
      await store.prune({ all: true })
      expect(look()).toEqual(before)
    })
  }
})

test('nobody but root comes as far as a setuid program of a layer', async () => {
  await load(dockerArchive(tarOf([{ path: 'su', content: 'x', mode: 0o4755 }])))
  fs.chmodSync(home, 0o755)
  const parents = path.dirname(layerTree()).split('/')
  const modes = parents.map((_, depth) => {
    const directory = parents.slice(0, depth + 1).join('/')
    return directory.startsWith(`${home}/`) ? fs.statSync(directory).mode & 0o7 : 0o7
  })
  expect(modes).toContain(0)
})
