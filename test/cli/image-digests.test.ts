import { describe, expect, onTestFinished, test } from 'vitest'
import { onlyImages, pinImages } from '../../src/cli/image-digests.ts'
import { openRegistry } from '../../src/registry/open-registry.ts'
import { readRegistrySettings } from '../../src/registry/registry-settings.ts'
import type { Stack } from '../../src/spec/stack.ts'
import { missingPrograms, startRegistry } from '../registry-fixture.ts'
import { loadFrom } from '../spec/memory-files.ts'

function stackOf(images: Readonly<Record<string, string>>): Stack {
  const services = Object.fromEntries(
    Object.entries(images).map(([key, image]) => [key, { image }]),
  )
  return loadFrom({ 'stack.yaml': JSON.stringify({ services }) }).stack
}

const without = missingPrograms('docker-registry')
const DIGEST = `sha256:${'0'.repeat(64)}`

describe('pinImages()', () => {
  test.skipIf(without !== '')(
    `asks the registry for the digest of each tag${without}`,
    async () => {
      const server = await startRegistry()
      onTestFinished(server.close)
      const registry = openRegistry(server.host, { settings: readRegistrySettings({}) })
      const mediaType = 'application/vnd.oci.image.index.v1+json'
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [] }))
      await registry.putManifest('a/b', 'v1', { bytes, mediaType })
      const digest = await registry.digestOf('a/b', 'v1')
      registry.close()
      const image = `${server.host}/a/b`
      const pinned = await pinImages(stackOf({ one: `${image}:v1`, two: `x@${DIGEST}` }), {})
      expect(onlyImages(pinned)).toEqual({
        services: {
          one: { image: `${image}:v1@${String(digest)}` },
          two: { image: `x@${DIGEST}` },
        },
      })
      expect(Object.keys(pinned.services['one'] ?? {})).toContain('networks')
      await expect(pinImages(stackOf({ one: `${image}:v2` }), {})).rejects.toThrow(
        `Cannot pin image "${image}:v2": its registry has no such tag`,
      )
    },
  )

  test('refuses what is made on this host, with the reason', async () => {
    await expect(pinImages(stackOf({ a: 'host:sh,coreutils' }), {})).rejects.toThrow(
      'Cannot pin image "host:sh,coreutils" of service "a": it is made on this host',
    )
  })
})
