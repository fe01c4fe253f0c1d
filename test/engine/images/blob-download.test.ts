import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { downloadBlob } from '../../../src/engine/images/blob-download.ts'
import type { RemoteBlob } from '../../../src/registry/registry.ts'
import { TransientError } from '../../../src/registry/transient-error.ts'

const CONTENT = randomBytes(1000)
const expected = {
  digest: `sha256:${createHash('sha256').update(CONTENT).digest('hex')}`,
  size: CONTENT.length,
}

let directory: string
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-download-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

/** Gives `length` bytes and breaks off, unless that is all. */
async function* part(start: number, length: number): AsyncGenerator<Buffer> {
  yield await Promise.resolve(CONTENT.subarray(start, start + length))
  if (start + length < CONTENT.length) throw new TransientError('cut')
}

test('downloadBlob() goes on as long as each attempt gets further', async () => {
  const file = path.join(directory, 'blob')
  const asked: number[] = []
  const openBlob = (from: number): Promise<RemoteBlob> => {
    asked.push(from)
    return Promise.resolve({ start: from, chunks: part(from, 250) })
  }
  await downloadBlob({ file, expected, openBlob, attempts: 2 })
  expect(asked).toEqual([0, 250, 500, 750])
  expect(readFileSync(file).equals(CONTENT)).toBe(true)
})

test('downloadBlob() gives up where a registry without ranges always breaks off at the same place', async () => {
  const file = path.join(directory, 'blob')
  let attempts = 0
  const openBlob = (): Promise<RemoteBlob> => {
    attempts += 1
    return Promise.resolve({ start: 0, chunks: part(0, 250) })
  }
  const download = downloadBlob({ file, expected, openBlob, attempts: 2 })
  await expect(download).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(attempts).toBe(2)
})
