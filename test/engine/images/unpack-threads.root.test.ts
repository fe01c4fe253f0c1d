import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { unpackPacked, type UnpackRequest } from '../../../src/engine/images/unpack-packed.ts'
import { unpackOnThread } from '../../../src/engine/images/unpack-threads.ts'
import { tarOf } from './tar-archive.ts'

let home: string
const opened: number[] = []

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-threads-'))
})

afterEach(() => {
  for (const fd of opened.splice(0)) fs.closeSync(fd)
  fs.rmSync(home, { recursive: true })
})

/** `name` is of the layer's file, its directory and its copy. */
function requestFor(name: string, content: Buffer): UnpackRequest {
  const file = path.join(home, name)
  const tree = `${file}.tree`
  fs.writeFileSync(file, content)
  fs.mkdirSync(tree)
  const fd = fs.openSync(file, 'r')
  opened.push(fd)
  return { packed: { fd, start: 0, size: content.length }, tree, blob: { copy: `${file}.copy` } }
}

test('unpackOnThread() does what unpackPacked() does, for more layers than there are threads', async () => {
  const contents = Array.from({ length: 6 }, () => randomBytes(100_000))
  const layers = contents.map((content) =>
    zlib.gzipSync(tarOf([{ path: 'a/file', content }]), { level: 1 }),
  )
  const here = layers.map((layer, index) => unpackPacked(requestFor(`here${index}`, layer)))
  const there = layers.map((layer, index) => unpackOnThread(requestFor(`there${index}`, layer)))
  expect(await Promise.all(there)).toEqual(await Promise.all(here))
  for (const [index, content] of contents.entries()) {
    expect(fs.readFileSync(path.join(home, `there${index}.tree/a/file`)).equals(content)).toBe(true)
    expect(fs.readFileSync(path.join(home, `there${index}.copy`))).toEqual(layers[index])
  }
})

test('unpackOnThread() fails as unpackPacked() does, and the thread goes on', async () => {
  const damaged = requestFor('damaged', tarOf([{ path: '../out', content: 'x' }]))
  await expect(unpackOnThread(damaged)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: 'Cannot unpack "../out": it leaves the root',
  })
  const right = requestFor('right', tarOf([{ path: 'in', content: 'x' }]))
  await expect(unpackOnThread(right)).resolves.toMatchObject({ fileBytes: 1 })
})
