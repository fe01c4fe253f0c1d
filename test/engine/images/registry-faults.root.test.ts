/** The store against Debian's docker-registry over connections that break, by way of mirrors, and after a kill. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from 'vitest'
import { openImageStore, type ImageStore } from '../../../src/engine/images/image-store.ts'
import type { LayerEvent } from '../../../src/engine/images/pull-image.ts'
import { readRegistrySettings } from '../../../src/registry/registry-settings.ts'
import { eventually } from '../../eventually.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../../registry-fixture.ts'
import { makeAuthority, makeCertificate } from '../../registry/certificates.ts'
import { startTunnel } from '../../registry/tunnel.ts'
import { startFaultProxy, type FaultProxy } from '../../registry/fault-proxy.ts'
import { tarOf } from './tar-archive.ts'

const without = missingPrograms('docker-registry', 'openssl')
const CONTENT = randomBytes(2 << 20)

let home: string
let registry: RegistryFixture
let proxy: FaultProxy
/** Of the only layer of library/app:1. */
let layer: string

beforeAll(async () => {
  if (without !== '') return
  registry = await startRegistry()
  proxy = await startFaultProxy(registry.host)
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-faults-'))
  const maker = openImageStore(path.join(directory, 'store'))
  async function* archive(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(tarOf([{ path: 'file', content: CONTENT }]))
  }
  const { id, layers } = await maker.archives.importTree(archive())
  layer = layers[0] ?? ''
  await maker.tag(id, `${registry.host}/library/app:1`)
  await maker.remote.push(`${registry.host}/library/app:1`, { compression: 'none' })
  await maker.flushed()
  fs.rmSync(directory, { recursive: true })
})

afterAll(async () => {
  if (without !== '') return
  await proxy.close()
  await registry.close()
})

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-faults-'))
  proxy.seen.length = 0
  proxy.fault = () => undefined
})

afterEach(() => {
  fs.rmSync(home, { recursive: true })
})

const layerBytes = (): number[] =>
  proxy.seen.filter(({ path: asked }) => asked.includes(layer)).map(({ downBytes }) => downBytes)

const sizeOfLayer = (): number =>
  fs.statSync(path.join(home, 'store/blobs/sha256', layer.slice('sha256:'.length))).size

function contentIn(store: ImageStore): Buffer {
  return fs.readFileSync(path.join(store.layerPath(layer), 'file'))
}

describe.skipIf(without !== '')(`pull()${without}`, () => {
  test('that was killed goes on where it was: no byte comes twice, and half an image is none', async () => {
    const name = `${proxy.host}/library/app:1`
    const root = path.join(home, 'store')
    proxy.fault = ({ path: asked }) => (asked.includes(layer) ? { stallAfter: 1 << 20 } : undefined)
    const storeModule = path.join(import.meta.dirname, '../../../src/engine/images/image-store.ts')
    const script = `const { openImageStore } = await import(${JSON.stringify(storeModule)})
      await openImageStore(${JSON.stringify(root)}).remote.pull(${JSON.stringify(name)})`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    const partial = path.join(root, 'partial', layer.slice('sha256:'.length))
    await eventually(
      'a part of the layer',
      () => fs.existsSync(partial) && fs.statSync(partial).size === 1 << 20,
    )
    child.kill('SIGKILL')
    await ended
    proxy.fault = () => undefined
    const next = openImageStore(root)
    expect(next.list()).toEqual([])
    expect(next.all()).toEqual([])
    await next.prune() // the daemon does so by itself
    await next.remote.pull(name)
    const [first = 0, second = 0] = layerBytes()
    expect(first).toBe(1 << 20)
    expect(layerBytes().length).toBe(2)
    expect(first + second).toBe(sizeOfLayer())
    expect(contentIn(next).equals(CONTENT)).toBe(true)
    expect(fs.readdirSync(path.join(root, 'partial'))).toEqual([])
    expect(fs.readdirSync(path.join(root, 'pulls'))).toEqual([])
    await next.flushed()
  })

  test('tells what it waits for, and goes on where a connection was cut', async () => {
    const faults = [{ status: 429, headers: { 'retry-after': '1' } }]
    const cuts = [{ cutDownAfter: 700_000 }, { status: 503, headers: { 'retry-after': '0' } }]
    proxy.fault = ({ path: asked }) =>
      asked.includes('/manifests/')
        ? faults.shift()
        : asked.includes(layer)
          ? cuts.shift()
          : undefined
    const notices: string[] = []
    const events: LayerEvent[] = []
    const store = openImageStore(path.join(home, 'store'))
    await store.remote.pull(`${proxy.host}/library/app:1`, {
      onNotice: (text) => notices.push(text),
      onLayer: (event) => events.push(event),
    })
    expect(notices).toEqual([
      `Cannot get manifest "library/app:1" at registry "${proxy.host}": too many requests; again in 1 s`,
    ])
    const details = events.flatMap(({ state, detail }) => (state === 'retrying' ? detail : []))
    expect(details).toEqual([
      expect.stringContaining('the connection was cut; again in'),
      expect.stringContaining('it answered 503; again in 0 s'),
    ])
    // Nothing but what was under way when the connection was cut comes twice.
    const bytes = layerBytes().reduce((sum, one) => sum + one, 0)
    expect(bytes).toBeLessThan(sizeOfLayer() + 200_000)
    expect(contentIn(store).equals(CONTENT)).toBe(true)
    await store.flushed()
  })

  test('asks mirrors first, passes over those that are down, and tells so', async () => {
    const mirror = await startRegistry({ mirrors: `http://${registry.host}` })
    onTestFinished(mirror.close)
    const TSSTACK_REGISTRY_MIRRORS = `http://127.0.0.1:1,http://${mirror.host}`
    const settings = readRegistrySettings({ TSSTACK_REGISTRY_MIRRORS })
    const store = openImageStore(path.join(home, 'store'), { registries: settings })
    const notices: string[] = []
    await store.remote.pull('app:1', { onNotice: (text) => notices.push(text) })
    expect(notices).toEqual([
      expect.stringMatching(/^mirror passed over: .*127\.0\.0\.1:1.*ECONNREFUSED/),
    ])
    expect(contentIn(store).equals(CONTENT)).toBe(true)
    expect(store.list().map(({ reference }) => reference)).toEqual(['app:1'])
    await store.flushed()
  })

  test('asks the registry itself when all mirrors are down: here by a proxy, with an authority of its own', async () => {
    const authority = makeAuthority(home, 'authority')
    const tls = makeCertificate(home, authority, ['DNS:registry-1.docker.io'])
    const origin = await startRegistry({ tls, mirrors: `http://${registry.host}` })
    onTestFinished(origin.close)
    const tunnel = await startTunnel(origin.host)
    onTestFinished(tunnel.close)
    fs.mkdirSync(path.join(home, 'registry-1.docker.io'))
    fs.copyFileSync(authority.certificate, path.join(home, 'registry-1.docker.io/ca.crt'))
    const settings = readRegistrySettings({
      TSSTACK_REGISTRY_MIRRORS: 'http://127.0.0.1:1',
      TSSTACK_CERTS_DIR: home,
      HTTPS_PROXY: `http://${tunnel.host}`,
    })
    const store = openImageStore(path.join(home, 'store'), { registries: settings })
    await store.remote.pull('app:1')
    expect(tunnel.asked[0]).toBe('CONNECT registry-1.docker.io:443')
    expect(contentIn(store).equals(CONTENT)).toBe(true)
    await store.flushed()
  })
})
