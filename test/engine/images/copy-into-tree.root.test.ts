import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sourceFromChunks } from '../../../src/engine/images/byte-source.ts'
import { copyIntoTree } from '../../../src/engine/images/copy-into-tree.ts'
import { getXattr, listXattrs } from '../../../src/kernel/file-calls.ts'
import { inChunks, tarOf, type HandMadeEntry } from './tar-archive.ts'

const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex')

let root: string

beforeEach(() => {
  root = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-copy-'))
})

afterEach(() => {
  fs.rmSync(root, { recursive: true })
})

const at = (name: string): string => path.join(root, name)

async function copy(
  entries: readonly HandMadeEntry[],
  ids: { readonly owner: number; readonly keepIds: boolean },
): Promise<void> {
  const rootFd = fs.openSync(root, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    const source = sourceFromChunks(inChunks(tarOf(entries), 4096))
    await copyIntoTree(source, { ...ids, rootFd, directory: '/' })
  } finally {
    fs.closeSync(rootFd)
  }
}

const pax = {
  'SCHILY.xattr.user.note': 'kept',
  'SCHILY.xattr.trusted.overlay.opaque': 'y',
  'SCHILY.xattr.security.capability': CAPABILITY,
}

const TREE: readonly HandMadeEntry[] = [
  { path: 'd', type: '5', mode: 0o755, mtime: 1_000_000, pax },
  { path: 'd/file', content: 'x', mtime: 2_000_000, pax },
  { path: 'd/inner', type: '5', mode: 0o755, mtime: 3_000_000 },
  { path: 'd/inner/last', content: 'x' },
]

test('copyIntoTree() keeps times of directories and attributes of users', async () => {
  await copy(TREE, { owner: 0, keepIds: true })
  const times = ['d', 'd/file', 'd/inner'].map((name) => fs.statSync(at(name)).mtimeMs / 1000)
  expect(times).toEqual([1_000_000, 2_000_000, 3_000_000])
  expect(getXattr(at('d'), 'user.note')?.toString()).toBe('kept')
  expect(listXattrs(at('d/file')).sort()).toEqual(['security.capability', 'user.note'])
})

test('copyIntoTree() gives no capabilities where ids are shifted, or not those of the archive', async () => {
  await copy(TREE, { owner: 100_000, keepIds: true })
  expect(listXattrs(at('d/file'))).toEqual(['user.note'])
  fs.rmSync(at('d'), { recursive: true })
  await copy(TREE, { owner: 0, keepIds: false })
  expect(listXattrs(at('d/file'))).toEqual(['user.note'])
})

test('copyIntoTree() follows no link that takes the place of a directory', async () => {
  const outside = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-outside-'))
  try {
    const before = fs.statSync(outside).mtimeMs
    const link: HandMadeEntry = { path: 'd', type: '2', link: outside }
    await expect(copy([...TREE, link], { owner: 0, keepIds: true })).rejects.toThrow('directory')
    fs.rmSync(at('d'), { recursive: true })
    fs.symlinkSync(outside, at('d'))
    await expect(copy(TREE, { owner: 0, keepIds: true })).rejects.toThrow('a file is there')
    expect(fs.statSync(outside).mtimeMs).toBe(before)
    expect(fs.readdirSync(outside)).toEqual([])
  } finally {
    fs.rmSync(outside, { recursive: true })
  }
})
