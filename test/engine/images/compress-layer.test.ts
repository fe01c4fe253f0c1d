/** What registries get of a layer: the same bytes, however the layer is read. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { compressLayer } from '../../../src/engine/images/compress-layer.ts'
import { digestOf } from '../../../src/engine/images/image.ts'
import { inChunks } from './tar-archive.ts'

const PLAIN = Buffer.from(Array.from({ length: 90_000 }, (_, index) => String(index ** 2)).join())
const UNPACK = { gzip: zlib.gunzipSync, zstd: zlib.zstdDecompressSync } as const

let directory: string

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-compress-'))
})

afterEach(() => {
  fs.rmSync(directory, { recursive: true })
})

test.each(['gzip', 'zstd'] as const)(
  '%s: the same bytes of chunks of any size',
  async (compression) => {
    const results = []
    for (const chunkBytes of [1000, 70_001, PLAIN.length]) {
      const file = path.join(directory, String(chunkBytes))
      results.push(await compressLayer(inChunks(PLAIN, chunkBytes), file, { compression }))
      const bytes = fs.readFileSync(file)
      expect(results.at(-1)).toEqual({ digest: digestOf(bytes), size: bytes.length })
      expect(UNPACK[compression](bytes).equals(PLAIN)).toBe(true)
    }
    expect(new Set(results.map(({ digest }) => digest)).size).toBe(1)
  },
)

test('nothing is left of what fails or is cancelled', async () => {
  const file = path.join(directory, 'draft')
  async function* failing(): AsyncGenerator<Buffer> {
    yield* inChunks(PLAIN, 10_000)
    throw new Error('its files have changed')
  }
  const attempt = compressLayer(failing(), file, { compression: 'gzip' })
  await expect(attempt).rejects.toThrow('its files have changed')
  const stop = new AbortController()
  async function* stopped(): AsyncGenerator<Buffer> {
    for await (const chunk of inChunks(PLAIN, 10_000)) {
      yield chunk
      stop.abort()
    }
  }
  const cancelled = compressLayer(stopped(), file, { compression: 'zstd', signal: stop.signal })
  await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' })
  expect(fs.readdirSync(directory)).toEqual([])
})
