/** How registries are reached: https and whom it is trusted to, plain HTTP, proxies, and where strangers may send us. */
import { mkdirSync, mkdtempSync, rmSync, copyFileSync, symlinkSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import os from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openRegistry } from '../../src/registry/open-registry.ts'
import { readRegistrySettings } from '../../src/registry/registry-settings.ts'
import type { Registry } from '../../src/registry/registry.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../registry-fixture.ts'
import { startTunnel } from './tunnel.ts'
import { makeAuthority, makeCertificate, type Certificate } from './certificates.ts'

const without = missingPrograms('docker-registry', 'openssl')
const HUB = 'registry-1.docker.io'

let directory: string
let authority: Certificate
let secure: RegistryFixture
let plain: RegistryFixture
const opened: Registry[] = []
const closing: (() => void)[] = []

beforeAll(async () => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-connections-'))
  if (without !== '') return
  authority = makeAuthority(directory, 'authority')
  const names = ['IP:127.0.0.1', 'IP:0.0.0.0', `DNS:${HUB}`]
  secure = await startRegistry({ tls: makeCertificate(directory, authority, names) })
  plain = await startRegistry()
})
afterEach(() => {
  for (const registry of opened.splice(0)) registry.close()
  for (const close of closing.splice(0)) close()
})
afterAll(async () => {
  if (without === '') {
    await secure.close()
    await plain.close()
  }
  rmSync(directory, { recursive: true })
})

/** As certs.d of Docker; `host` trusts the authority of a file. */
function certsDir(host: string, certificate: string): string {
  const certs = mkdtempSync(path.join(directory, 'certs-'))
  mkdirSync(path.join(certs, host))
  copyFileSync(certificate, path.join(certs, host, 'ca.crt'))
  return certs
}

function open(host: string, environment: Readonly<Record<string, string>> = {}): Registry {
  const settings = readRegistrySettings({ TSSTACK_CERTS_DIR: '/nonexistent', ...environment })
  const registry = openRegistry(host, { settings })
  opened.push(registry)
  return registry
}

/** The same host by an address that does not say that it is this machine. */
const elsewhere = ({ host }: RegistryFixture): string => host.replace('127.0.0.1', '0.0.0.0')

describe.skipIf(without !== '')(`https${without}`, () => {
  test('is trusted by the authority that is filed for the host', async () => {
    const host = elsewhere(secure)
    await open(host, { TSSTACK_CERTS_DIR: certsDir(host, authority.certificate) }).logIn()
  })

  test('is not trusted without one, or by another one; the hint says where to put it', async () => {
    const host = elsewhere(secure)
    const other = makeAuthority(directory, 'other')
    const certs = certsDir(host, other.certificate)
    await expect(open(host, { TSSTACK_CERTS_DIR: certs }).logIn()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/its certificate is not trusted \([A-Z_]+\)/) as string,
      hint: `Put the certificate of its authority into ${certs}/${host}/ca.crt`,
    })
    await expect(open(host).logIn()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' })
    await open(host, { TSSTACK_INSECURE_REGISTRIES: host }).logIn()
  })

  test('on this machine needs no authority, but one that is filed counts, and plain HTTP is no way around it', async () => {
    await open(secure.host).logIn()
    const other = makeAuthority(directory, 'other')
    const certs = certsDir(secure.host, other.certificate)
    await expect(open(secure.host, { TSSTACK_CERTS_DIR: certs }).logIn()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('is not trusted') as string,
    })
  })

  test('shows who we are with the certificate that is filed for the host', async () => {
    const server = makeCertificate(directory, authority, ['IP:0.0.0.0'], 'other-server')
    const client = makeCertificate(directory, authority, ['DNS:client'], 'client')
    const strict = await startRegistry({ tls: { ...server, clientcas: [authority.certificate] } })
    onTestFinished(strict.close)
    const host = elsewhere(strict)
    const certs = certsDir(host, authority.certificate)
    const failure = await open(host, { TSSTACK_CERTS_DIR: certs })
      .logIn()
      .catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('it wants a certificate of ours') as string,
      hint: expect.stringContaining(`${certs}/${host}/client.cert`) as string,
    })
    copyFileSync(client.certificate, path.join(certs, host, 'client.cert'))
    copyFileSync(client.key, path.join(certs, host, 'client.key'))
    await open(host, { TSSTACK_CERTS_DIR: certs }).logIn()
  })

  test('plain HTTP is for this machine, and for hosts that are named', async () => {
    await open(plain.host).logIn()
    const host = elsewhere(plain)
    await expect(open(host).logIn()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      hint: expect.stringContaining('TSSTACK_INSECURE_REGISTRIES') as string,
    })
    await open(host, { TSSTACK_INSECURE_REGISTRIES: `other.example, ${host}` }).logIn()
  })
})

describe.skipIf(without !== '')(`proxies${without}`, () => {
  test('are asked for https and plain HTTP, with their password, and not for this machine or NO_PROXY', async () => {
    const tunnel = await startTunnel(secure.host)
    closing.push(tunnel.close)
    const proxy = { https_proxy: `http://anna:secret@${tunnel.host}` }
    const certs = { TSSTACK_CERTS_DIR: certsDir(HUB, authority.certificate) }
    await open('docker.io', { ...proxy, ...certs }).logIn()
    const basic = `Basic ${Buffer.from('anna:secret').toString('base64')}`
    expect(tunnel.asked).toEqual([`CONNECT ${HUB}:443 ${basic}`])
    await open(secure.host, proxy).logIn()
    const host = elsewhere(secure)
    const trusting = { TSSTACK_INSECURE_REGISTRIES: host }
    await open(host, { ...proxy, ...trusting, no_proxy: '0.0.0.0' }).logIn()
    expect(tunnel.asked.length).toBe(1)

    const relay = await startTunnel(plain.host)
    closing.push(relay.close)
    const settings = {
      HTTP_PROXY: `http://${relay.host}`,
      TSSTACK_INSECURE_REGISTRIES: elsewhere(plain),
    }
    await open(elsewhere(plain), settings).logIn()
    expect(relay.asked).toEqual([`http://${elsewhere(plain)}/v2/`])
  })
})

test.each(['a/b', 'user@host', 'a b', '', 'host:port'])('"%s" is no registry', (name) => {
  expect(() => openRegistry(name, { settings: readRegistrySettings({}) })).toThrow('it is no host')
})

describe('a registry elsewhere', () => {
  async function startScripted(answer: http.RequestListener): Promise<string> {
    const server = http.createServer(answer)
    await once(server.listen(0, '127.0.0.1'), 'listening')
    closing.push(() => {
      server.closeAllConnections()
      server.close()
    })
    return `0.0.0.0:${String((server.address() as AddressInfo).port)}`
  }

  test.each([
    'https://127.0.0.1:1/token',
    'https://[::1]:1/token',
    'https://169.254.169.254/token',
    'https://localhost:1/token',
  ])('may not have us ask %s for a token, or follow it there', async (target) => {
    const host = await startScripted((request, response) => {
      if (request.url === '/v2/')
        response
          .writeHead(401, { 'www-authenticate': `Bearer realm="${target}",service="x"` })
          .end()
      else response.writeHead(307, { location: target }).end()
    })
    const registry = open(host, { TSSTACK_INSECURE_REGISTRIES: host })
    const refusal = {
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('this host or link-local') as string,
    }
    await expect(registry.logIn()).rejects.toMatchObject(refusal)
    await expect(registry.manifest('a', 'b')).rejects.toMatchObject(refusal)
  })

  test('is given no credentials by where it redirects to, nor by a redirect away from it', async () => {
    const seen: (string | undefined)[] = []
    const other = await startScripted((request, response) => {
      seen.push(request.headers.authorization)
      response.end('stolen')
    })
    const host = await startScripted((request, response) => {
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end()
      else if (request.url?.startsWith('/v2/a/blobs/') === true)
        response.writeHead(307, { location: request.url.replace('/a/', '/b/') }).end()
      else response.writeHead(307, { location: `http://${other}/` }).end()
    })
    const settings = readRegistrySettings({ TSSTACK_INSECURE_REGISTRIES: `${host},${other}` })
    const registry = openRegistry(host, { settings, credentials: { username: 'a', password: 'b' } })
    opened.push(registry)
    await expect(registry.blob('a', `sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('which is not https') as string,
    })
    expect(seen).toEqual([])
  })
})

test.skipIf(without !== '')(`tags() follows the pages of a registry${without}`, async () => {
  const place = path.join(plain.data, 'docker/registry/v2/repositories/paged')
  const registry = open(plain.host)
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [] }))
  await registry.putManifest('paged', 'first', { bytes, mediaType })
  const tags = Array.from({ length: 1100 }, (_, index) => `t${String(index)}`)
  for (const tag of tags) symlinkSync('first', path.join(place, '_manifests/tags', tag))
  expect((await registry.tags('paged')).toSorted()).toEqual([...tags, 'first'].toSorted())
})
