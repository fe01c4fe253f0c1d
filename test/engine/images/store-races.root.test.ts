/** What happens to the image store at the same time: nothing that somebody works with goes. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openImageStore, type ImageStore } from '../../../src/engine/images/image-store.ts'
import { damageOf, orphansOf } from './audit-store.ts'
import { inChunks, tarOf } from './tar-archive.ts'

let home: string
let root: string
let store: ImageStore

beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'tsstack-races-'))
  root = path.join(home, 'store')
  store = openImageStore(root)
})

afterEach(async () => {
  await store.flushed()
  fs.rmSync(home, { recursive: true })
})

const tree = tarOf([{ path: 'file', content: Buffer.alloc(3 << 20, 7) }])

async function bytesOf(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

test('an image that is removed while it is saved comes out whole, and is gone then', async () => {
  await store.archives.importTree(inChunks(tree, 1 << 20), { names: ['saved:1'] })
  const whole = await bytesOf(store.archives.save(['saved:1']))
  const saving = store.archives.save(['saved:1'])
  const first = await saving.next()
  await store.remove('saved:1')
  const rest = await bytesOf(saving)
  expect(Buffer.concat([first.value as Buffer, rest]).equals(whole)).toBe(true)
  await store.prune()
  expect(orphansOf(root)).toEqual([])
})

test('prune() asks what is in use when it is its turn', async () => {
  const image = await store.archives.importTree(inChunks(tree, 1 << 20), { names: ['used:1'] })
  const used = new Map<string, string[]>()
  const other = store.resolve('host:sh') // it is first
  const pruning = store.prune({ all: true, inUse: () => used })
  used.set(image.id, ['a test'])
  await Promise.all([other, pruning])
  expect(store.inspect('used:1')).toEqual(image)
})

test('remove() leaves an image that gets another name or a container meanwhile', async () => {
  const { id } = await store.archives.importTree(inChunks(tree, 1 << 20), { names: ['a:1', 'b:1'] })
  const used = new Map<string, string[]>()
  const inUse = (): Map<string, string[]> => used
  const removing = store.remove(id, { all: true, inUse })
  await Promise.resolve() // it is under way, and waits for the disk
  used.set(id, ['a test'])
  expect((await removing).deleted).toEqual([])
  expect(store.inspect(id).id).toBe(id)
  await store.tag(id, 'c:1')
  used.clear()
  const again = store.remove('c:1', { inUse })
  await Promise.resolve()
  await store.tag(id, 'd:1')
  expect((await again).deleted).toEqual([])
  expect((await store.remove('d:1')).deleted).toEqual([id])
})

test('the same layer may come several times at once, also over the ruin of an earlier one', async () => {
  const before = await store.archives.importTree(inChunks(tree, 1 << 20))
  await store.remove(before.id)
  const ruin = path.join(root, 'layers', before.layers[0]?.slice(7) ?? '', 'tree')
  for (let index = 0; index < 300; index++)
    fs.mkdirSync(path.join(ruin, String(index)), { recursive: true })
  const archives = [1, 2, 3].map(() =>
    store.archives.importTree(inChunks(tree, 1 << 20), { names: ['again:1'] }),
  )
  const drafts = await Promise.all([
    ...archives,
    store.importChanges(
      { path: treeOfFile(), layers: [], owner: 0, wholeSince: 0 },
      store.builds.lease(),
    ),
    store.importChanges(
      { path: treeOfFile(), layers: [], owner: 0, wholeSince: 0 },
      store.builds.lease(),
    ),
    store.prune(),
  ])
  expect(drafts.slice(0, 3)).toEqual([before, before, before])
  expect(drafts[3]).toBe(drafts[4])
  expect(damageOf(root)).toEqual([])
  expect(fs.readdirSync(path.join(root, 'tmp'))).toEqual([])
})

function treeOfFile(): string {
  const directory = path.join(home, 'tree')
  fs.mkdirSync(directory, { recursive: true })
  fs.writeFileSync(path.join(directory, 'made'), 'by a container')
  fs.utimesSync(path.join(directory, 'made'), 1, 1)
  fs.utimesSync(directory, 1, 1)
  return directory
}

test('a store that opens removes what a killed process was writing, and images without a layer', async () => {
  const image = await store.archives.importTree(inChunks(tree, 1 << 20), { names: ['kept:1'] })
  const lost = await store.resolve('host:sh')
  await store.flushed()
  const draft = '.123e4567-e89b-12d3-a456-426614174000.tmp'
  for (const name of ['references.json', 'images/a.json', 'sources/a.json', 'host/a', 'pulls/a'])
    fs.writeFileSync(path.join(root, `${name}${draft}`), image.id)
  fs.writeFileSync(path.join(root, 'images/damaged.json'), '{')
  fs.rmSync(path.join(root, 'layers', lost.layers[0]?.slice(7) ?? ''), { recursive: true })
  store = openImageStore(root)
  expect(fs.readdirSync(path.join(root, 'images'))).toEqual([`${image.id.slice(7)}.json`])
  await store.prune()
  expect(orphansOf(root)).toEqual([])
  expect(damageOf(root)).toEqual([])
})
