/** Debian's docker-registry with tokens: a service of the test signs them, the registry checks them. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Credentials } from '../../src/registry/credentials.ts'
import { openRegistry } from '../../src/registry/open-registry.ts'
import { sha256 } from '../../src/registry/registry-reader.ts'
import { readRegistrySettings } from '../../src/registry/registry-settings.ts'
import type { BlobUpload, Registry } from '../../src/registry/registry.ts'
import { missingPrograms, startRegistry, type RegistryFixture } from '../registry-fixture.ts'
import { startFaultProxy, type FaultProxy } from './fault-proxy.ts'
import { CREDENTIALS, startTokenService, type TokenFixture } from './token-service.ts'

const without = missingPrograms('docker-registry', 'openssl')
const settings = readRegistrySettings({})
const CHUNK = 64 << 10

describe.skipIf(without !== '')(`tokens${without}`, () => {
  let directory: string
  let service: TokenFixture
  let fixture: RegistryFixture
  let proxy: FaultProxy
  const opened: Registry[] = []

  beforeAll(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-tokens-'))
    service = await startTokenService(directory)
    fixture = await startRegistry({ tokens: service })
    proxy = await startFaultProxy(fixture.host)
  })
  afterEach(() => {
    for (const registry of opened.splice(0)) registry.close()
    service.given.length = 0
    proxy.seen.length = 0
    proxy.fault = () => undefined
  })
  afterAll(async () => {
    if (without !== '') return
    await proxy.close()
    await fixture.close()
    service.close()
    rmSync(directory, { recursive: true })
  })

  function open(credentials?: Credentials, isLogin = false): Registry {
    const registry = openRegistry(proxy.host, { settings, credentials, isLogin, chunkBytes: CHUNK })
    opened.push(registry)
    return registry
  }
  function blob(content: Buffer): BlobUpload {
    return {
      digest: sha256(content),
      size: content.length,
      async *open(from) {
        yield await Promise.resolve(content.subarray(from))
      },
    }
  }

  test('are asked for by scope, once for requests that are refused together', async () => {
    const registry = open(CREDENTIALS)
    const blobs = Array.from({ length: 4 }, () => blob(randomBytes(1000)))
    const outcomes = await Promise.all(blobs.map((one) => registry.upload('team/app', one)))
    expect(new Set(outcomes)).toEqual(new Set(['sent']))
    expect(service.given).toEqual(['GET repository:team/app:pull,push'])
    expect(await registry.hasManifest('team/app', sha256(Buffer.alloc(0)))).toBe(false)
    expect(service.given.slice(1)).toEqual(['GET repository:team/app:pull'])
  })

  test('that end in the middle of a push are asked for again', async () => {
    const registry = open(CREDENTIALS)
    service.nextLastsMs = 500
    const content = randomBytes(3 * CHUNK)
    const slow: BlobUpload = {
      ...blob(content),
      async *open(from) {
        yield content.subarray(from, CHUNK)
        // Then it has ended: whole seconds count.
        if (from === 0) await delay(1600)
        yield content.subarray(Math.max(from, CHUNK))
      },
    }
    expect(await registry.upload('team/slow', slow)).toBe('sent')
    const patches = proxy.seen.filter(({ method }) => method === 'PATCH')
    expect(patches.map(({ status }) => status)).toEqual([202, 401, 202, 202])
    expect(service.given.length).toBe(2)
  })

  test('are no way around rights: nobody may push, and may read what is public', async () => {
    const content = blob(randomBytes(1000))
    await open(CREDENTIALS).upload('public/app', content)
    await open(CREDENTIALS).upload('private/app', content)
    const nobody = open()
    expect((await nobody.blob('public/app', content.digest)).start).toBe(0)
    const refused = { code: 'PERMISSION_DENIED', hint: expect.stringContaining('login') as string }
    await expect(nobody.blob('private/app', content.digest)).rejects.toMatchObject(refused)
    await expect(nobody.upload('public/app', blob(randomBytes(999)))).rejects.toMatchObject(refused)
    const wrong = open({ username: 'anna', password: 'guess' })
    await expect(wrong.logIn()).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('it does not let this login in') as string,
      hint: expect.stringContaining(`tsstack login ${proxy.host}`) as string,
    })
  })

  test('mount only from where one may read', async () => {
    const content = blob(randomBytes(1000))
    await open(CREDENTIALS).upload('team/origin', content)
    const mount = { ...content, mountFrom: ['team/origin'] }
    expect(await open(CREDENTIALS).upload('team/other', mount)).toBe('mounted')
    expect(service.given).toContain(
      'GET repository:team/other:pull,push repository:team/origin:pull',
    )
  })

  test('of an identity stand for the password after a login', async () => {
    const identityToken = await open(CREDENTIALS, true).logIn()
    expect(identityToken).toMatch(/^[0-9a-f-]{36}$/)
    const registry = open({ identityToken: identityToken ?? '' })
    expect(await registry.upload('team/identity', blob(randomBytes(1000)))).toBe('sent')
    expect(service.given.at(-1)).toBe('POST repository:team/identity:pull,push')
    await expect(open({ identityToken: 'forged' }).logIn()).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    })
  })
})
