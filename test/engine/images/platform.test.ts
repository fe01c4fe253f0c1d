/** Which of several platforms is taken: by words, and out of an index that a registry gives. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parsePlatform } from '../../../src/engine/images/platform.ts'
import { findRemoteImage } from '../../../src/engine/images/remote-image.ts'
import { openRegistry } from '../../../src/registry/open-registry.ts'
import { readRegistrySettings } from '../../../src/registry/registry-settings.ts'
import type { Registry } from '../../../src/registry/registry.ts'
import {
  publish,
  publishManifest,
  startScriptedRegistry,
  type ScriptedRegistry,
} from './scripted-registry.ts'

const isX86 = process.arch === 'x64'

describe.skipIf(!isX86)('parsePlatform()', () => {
  test.each([
    ['linux', 'linux', 'amd64', undefined],
    ['amd64', 'linux', 'amd64', undefined],
    ['linux/x86_64', 'linux', 'amd64', undefined],
    ['Linux/AMD64/v3', 'linux', 'amd64', 'v3'],
    ['linux/386', 'linux', '386', undefined],
  ])('reads %s', (text, os, architecture, variant) => {
    expect(parsePlatform(text)).toEqual({ os, architecture, ...(variant && { variant }) })
  })

  test.each(['linux/s390x', 'arm64', 'windows/amd64', 'linux/arm/v7'])(
    'refuses %s, whose programs do not run here',
    (text) => {
      expect(() => parsePlatform(text)).toThrow('its programs do not run here')
    },
  )

  test.each(['', 'linux/', 'a/b/c/d', 'linux/am d64', `linux/${'x'.repeat(99)}`])(
    'refuses %s, which is none',
    (text) => {
      expect(() => parsePlatform(text)).toThrow('Cannot read platform')
    },
  )
})

describe.skipIf(!isX86)('findRemoteImage()', () => {
  let scripted: ScriptedRegistry
  let registry: Registry
  beforeEach(async () => {
    scripted = await startScriptedRegistry()
    registry = openRegistry(scripted.host, { settings: readRegistrySettings({}) })
  })
  afterEach(async () => {
    registry.close()
    await scripted.close()
  })

  /** Under `1`: an index with a manifest for each platform. @returns a platform's digest */
  function publishIndex(platforms: readonly string[]): (text: string) => string | undefined {
    const { manifest } = publish(scripted, Buffer.alloc(10))
    const digests = new Map(
      platforms.map((text) => [text, publishManifest(scripted, { ...manifest, note: text })]),
    )
    const entries = platforms.map((text) => {
      const [os, architecture, variant] = text.split('/')
      const isNote = os === 'unknown'
      const annotations = isNote ? { 'vnd.docker.reference.type': 'attestation-manifest' } : {}
      const platform = { os, architecture, ...(variant && { variant }) }
      return { mediaType: '', digest: digests.get(text), size: 1, platform, annotations }
    })
    publishManifest(scripted, { schemaVersion: 2, manifests: entries })
    return (text) => digests.get(text)
  }

  test.each([
    ['linux', 'linux/amd64'],
    ['linux/amd64/v3', 'linux/amd64/v3'],
    ['linux/amd64/v2', 'linux/amd64'],
    ['linux/amd64/v4', 'linux/amd64/v3'],
    ['linux/386', 'linux/386'],
  ])('finds for %s the manifest of %s', async (wanted, found) => {
    const digestOf = publishIndex([
      ...['unknown/unknown', 'windows/amd64', 'linux/arm64/v8', 'linux/amd64/v3', 'linux/386'],
      'linux/amd64',
    ])
    const image = await findRemoteImage(registry, 'x', '1', parsePlatform(wanted))
    expect(image.manifestDigest).toBe(digestOf(found))
  })

  test('names those that there are when none is right', async () => {
    publishIndex(['unknown/unknown', 'linux/arm64/v8', 'linux/s390x', 'linux/amd64/v3'])
    await expect(findRemoteImage(registry, 'x', '1', parsePlatform('386'))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'Cannot use image: it is not for linux/386',
      hint: 'It is for linux/arm64/v8, linux/s390x, linux/amd64/v3',
    })
  })
})
