import { execFileSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { isWhiteout, setOpaque } from '../../../src/engine/images/confined-tree.ts'
import { openDurability } from '../../../src/engine/images/durability.ts'
import { LayerStore, type LayerRecord } from '../../../src/engine/images/layer-store.ts'
import { packTree } from '../../../src/engine/images/tree-layer.ts'
import {
  changesOf,
  importChanges as importChangesHeld,
  type ContainerTree,
} from '../../../src/engine/images/container-layer.ts'
import { Holds } from '../../../src/engine/images/holds.ts'
import { getXattr, listXattrs, makeNode, setXattr } from '../../../src/kernel/file-calls.ts'

const OWNER = 1_000_000
const AT_FDCWD = -100

let home: string
let upper: string
let lower: string
let layers: LayerStore

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-upper-'))
  upper = path.join(home, 'upper')
  fs.mkdirSync(upper)
  fs.chownSync(upper, OWNER, OWNER)
  lower = path.join(home, 'lower')
  for (const name of ['gone', 'etc/.odd', 'etc/motd', 'd/old', 'd/new', 'kept/file']) {
    fs.mkdirSync(path.dirname(path.join(lower, name)), { recursive: true })
    fs.writeFileSync(path.join(lower, name), 'of the image')
  }
  const store = path.join(home, 'store')
  fs.mkdirSync(store)
  layers = new LayerStore(store, openDurability(store, { discard: () => undefined }))
})

afterEach(() => {
  fs.rmSync(home, { recursive: true })
})

function put(name: string, content: string, id = 0): void {
  fs.mkdirSync(path.dirname(path.join(upper, name)), { recursive: true })
  fs.writeFileSync(path.join(upper, name), content)
  for (let at = name; at !== '.'; at = path.dirname(at))
    fs.lchownSync(path.join(upper, at), OWNER + id, OWNER + id)
}

function whiteout(name: string): void {
  makeNode(AT_FDCWD, path.join(upper, name), { mode: fs.constants.S_IFCHR, major: 0, minor: 0 })
}

async function tarOf(tree: string, diffId: string): Promise<string[]> {
  const file = path.join(home, 'layer.tar')
  const chunks: Buffer[] = []
  for await (const chunk of packTree(tree, diffId)) chunks.push(chunk)
  fs.writeFileSync(file, Buffer.concat(chunks))
  return execFileSync('tar', ['-tf', file]).toString().trim().split('\n')
}

function importChanges(tree: ContainerTree): Promise<LayerRecord> {
  return importChangesHeld({ layers }, tree, new Holds().open())
}

test('importChanges() gives the container its own ids, and the layer its whiteouts', async () => {
  put('etc/motd', 'hello', 33)
  put('d/new', 'in an opaque directory')
  setOpaque(path.join(upper, 'd'))
  whiteout('gone')
  whiteout('etc/.odd')
  fs.linkSync(path.join(upper, 'etc/motd'), path.join(upper, 'twin'))
  execFileSync('mkfifo', [path.join(upper, 'pipe')])
  fs.lchownSync(path.join(upper, 'pipe'), OWNER, OWNER)
  const { diffId, fileBytes } = await importChanges({ path: upper, owner: OWNER, layers: [lower] })
  const tree = layers.path(diffId)
  expect(fileBytes).toBe(27)
  expect(fs.lstatSync(path.join(tree, 'etc/motd'))).toMatchObject({ uid: 33, gid: 33, nlink: 2 })
  expect(fs.lstatSync(tree)).toMatchObject({ uid: 0, gid: 0 })
  expect(fs.lstatSync(path.join(tree, 'pipe')).isFIFO()).toBe(true)
  for (const name of ['gone', 'etc/.odd', 'd/old'])
    expect(isWhiteout(fs.lstatSync(path.join(tree, name)))).toBe(true)
  expect(await tarOf(tree, diffId)).toEqual([
    ...['./', 'd/', 'd/new', 'd/.wh.old', 'etc/', 'etc/.wh..odd', 'etc/motd'],
    ...['.wh.gone', 'pipe', 'twin'],
  ])
})

test('importChanges() gives the same layer for the same files, whatever the range', async () => {
  put('a/b', 'content', 5)
  const touch = (): void => {
    for (const name of ['a/b', 'a', '']) fs.utimesSync(path.join(upper, name), 1, 1000)
  }
  touch()
  const one = await importChanges({ path: upper, owner: OWNER, layers: [lower] })
  execFileSync('chown', ['-R', '2000005:2000005', upper])
  for (const root of [upper, path.join(upper, 'a')]) fs.chownSync(root, 2_000_005, 2_000_005)
  fs.chownSync(upper, 2_000_000, 2_000_000)
  touch()
  const two = await importChanges({ path: upper, owner: 2_000_000, layers: [lower] })
  expect(two).toEqual(one)
  expect(fs.statSync(path.join(layers.path(one.diffId), 'a/b')).mtimeMs).toBe(1_000_000)
})

test('importChanges() makes capabilities of a user namespace those of an image', async () => {
  put('tool', 'x')
  const plain = Buffer.from('0100000200200000000000000000000000000000', 'hex')
  const owned = Buffer.concat([plain, Buffer.alloc(4)])
  owned[3] = 3
  owned.writeUInt32LE(OWNER, 20)
  setXattr(path.join(upper, 'tool'), 'security.capability', owned)
  setXattr(path.join(upper, 'tool'), 'user.mine', Buffer.from('1'))
  setXattr(path.join(upper, 'tool'), 'trusted.overlay.origin', Buffer.from('1'))
  const { diffId } = await importChanges({ path: upper, owner: OWNER, layers: [lower] })
  const file = path.join(layers.path(diffId), 'tool')
  expect(getXattr(file, 'security.capability')).toEqual(plain)
  expect(listXattrs(file).sort()).toEqual(['security.capability', 'user.mine'])
})

test('changesOf() tells what was added, changed and deleted, in the form of either driver', async () => {
  put('etc/motd', 'mine')
  put('added/file', 'x')
  whiteout('gone')
  put('d/new', 'anew')
  setOpaque(path.join(upper, 'd'))
  put('kept', '')
  fs.rmSync(path.join(upper, 'kept'))
  fs.mkdirSync(path.join(upper, 'kept'))
  fs.chownSync(path.join(upper, 'kept'), OWNER, OWNER)
  const wanted = [
    ...['added /added', 'added /added/file', 'changed /d', 'changed /d/new', 'deleted /d/old'],
    ...['changed /etc', 'changed /etc/motd', 'deleted /gone'],
  ]
  const told = async (tree: Parameters<typeof changesOf>[0]): Promise<string[]> =>
    (await changesOf(tree)).map((change) => `${change.kind} /${change.path}`)
  expect(await told({ path: upper, owner: OWNER, layers: [lower] })).toEqual(wanted)

  const whole = path.join(home, 'whole')
  execFileSync('cp', ['-a', lower, whole])
  await new Promise((resolve) => setTimeout(resolve, 20)) // past the clock's tick that marks the copy
  const wholeSince = Date.now()
  await new Promise((resolve) => setTimeout(resolve, 20))
  for (const name of ['added', 'd/new', 'etc/motd'])
    fs.cpSync(path.join(upper, name), path.join(whole, name), { recursive: true })
  execFileSync('chown', ['-R', '0:0', whole])
  for (const name of ['gone', 'd/old']) fs.rmSync(path.join(whole, name))
  // chown is a change, too, so all that was not replaced is told only where it must be.
  const all = await told({ path: whole, owner: 0, layers: [lower], wholeSince: Date.now() + 1000 })
  expect(all).toEqual(wanted)
  const late = await told({ path: whole, owner: 0, layers: [lower], wholeSince })
  expect(late).toContain('changed /kept/file')
})

test('importChanges() leaves out what the engine made to mount on, and no more', async () => {
  put('etc/hosts', '')
  put('proc/x', '')
  put('dev/pts/x', '')
  fs.rmSync(path.join(upper, 'dev/pts/x'))
  put('sys', 'a file')
  const { diffId } = await importChanges({ path: upper, owner: OWNER, layers: [lower] })
  expect(await tarOf(layers.path(diffId), diffId)).toEqual(['./', 'proc/', 'proc/x', 'sys'])
})

test('importChanges() refuses what no image can have, and leaves nothing', async () => {
  put('fine', '')
  fs.writeFileSync(path.join(upper, 'foreign'), '')
  const wanted = { code: 'FAILED_PRECONDITION' }
  await expect(importChanges({ path: upper, owner: OWNER, layers: [lower] })).rejects.toMatchObject(
    wanted,
  )
  fs.rmSync(path.join(upper, 'foreign'))
  fs.writeFileSync(Buffer.concat([Buffer.from(`${upper}/`), Buffer.from([0xff, 0xfe])]), '')
  const odd = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('UTF-8') as string }
  await expect(importChanges({ path: upper, owner: OWNER, layers: [lower] })).rejects.toMatchObject(
    odd,
  )
  expect(layers.list()).toEqual([])
  expect(fs.readdirSync(path.join(home, 'store/tmp'))).toEqual([])
})

test('importChanges() follows no link, however often it is swapped for a directory', async () => {
  const secret = path.join(home, 'secret')
  fs.mkdirSync(secret)
  fs.writeFileSync(path.join(secret, 'key'), 'of the host')
  fs.chownSync(path.join(secret, 'key'), OWNER, OWNER)
  for (let index = 0; index < 50; index++) put(`d${index}/key`, 'mine')
  const swap = `
    const fs = require('node:fs')
    for (;;) for (let index = 0; index < 50; index++) {
      const at = ${JSON.stringify(upper)} + '/d' + index
      try { fs.renameSync(at, at + '.aside'); fs.symlinkSync(${JSON.stringify(secret)}, at) } catch {}
      try { fs.unlinkSync(at); fs.renameSync(at + '.aside', at) } catch {}
    }`
  const swapper = spawn(process.execPath, ['-e', swap], { stdio: 'ignore' })
  try {
    for (let round = 0; round < 8; round++) {
      const { diffId } = await importChanges({ path: upper, owner: 0, layers: [lower] })
      const grep = `find "$0" -type f -exec grep -l "of the host" {} +`
      const leaks = execFileSync('sh', ['-c', `${grep} || true`, layers.path(diffId)])
      expect(leaks.toString()).toBe('')
    }
  } finally {
    swapper.kill('SIGKILL')
  }
}, 60_000)
