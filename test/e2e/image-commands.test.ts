/** Images as things of their own, as a user works with them: many layers, listings for scripts, who uses them. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UsageDetails } from '../../src/api/image-types.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { tarOf, type HandMadeEntry } from '../engine/images/tar-archive.ts'
import { jsonOf, newProject, type CommandLine } from './command-line.ts'

const isRoot = process.getuid?.() === 0
const scenario = test.skipIf(!isRoot)
const LAYERS = 130

let daemon: DaemonFixture
let tsstack: CommandLine

const STACK = `
name: deep
services:
  app:
    image: local/deep:1
    pull_policy: never
    command: [sleep, '3600']
    stop_signal: SIGKILL
`

beforeAll(async () => {
  if (!isRoot) return
  daemon = await startDaemonFixture()
  tsstack = newProject(daemon, 'deep', { 'stack.yaml': STACK })
})

afterAll(async () => {
  if (isRoot) await daemon.close()
})

const digestOf = (bytes: Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** Every layer has a file of its own, and one that all have; some remove what others have made. */
function layerOf(index: number): Buffer {
  const entries: HandMadeEntry[] = [
    { path: 'layers', type: '5', mode: 0o755 },
    { path: `layers/${String(index)}`, content: `${String(index)}\n` },
    { path: 'last', content: String(index) },
  ]
  if (index === 10)
    entries.push({ path: 'opaque', type: '5', mode: 0o755 }, { path: 'opaque/old', content: 'x' })
  if (index === 60) entries.push({ path: 'layers/.wh.3' })
  if (index === 70) entries.push({ path: 'opaque/.wh..wh..opq' }, { path: 'opaque/new' })
  return tarOf(entries)
}

/** The programs of this host below such layers, as `docker save` writes it. @returns how many there are on top */
async function writeDeepImage(file: string): Promise<number> {
  await tsstack.ok('image save -o base.tar host:sh,coreutils')
  const base = path.join(tsstack.directory, 'base')
  mkdirSync(base)
  execFileSync('tar', ['-xf', `${base}.tar`, '-C', base])
  const read = (name: string): Buffer => readFileSync(path.join(base, name))
  type Saved = readonly [{ readonly Config: string; readonly Layers: readonly string[] }]
  const [saved] = JSON.parse(read('manifest.json').toString()) as Saved
  const config = JSON.parse(read(saved.Config).toString()) as Record<string, unknown>
  const layers = Array.from({ length: LAYERS - saved.Layers.length }, (_, index) => layerOf(index))
  const { diff_ids: below } = config['rootfs'] as { readonly diff_ids: readonly string[] }
  const entries = [
    ...saved.Layers.map((name) => ({ path: `${name.slice(-60)}.tar`, content: read(name) })),
    ...layers.map((content, index) => ({ path: `${String(index)}.tar`, content })),
  ]
  const { history: _, ...rest } = config
  const deep = {
    ...rest,
    rootfs: { type: 'layers', diff_ids: [...below, ...layers.map(digestOf)] },
  }
  const Layers = entries.map((entry) => entry.path)
  const manifest = [{ Config: 'config.json', RepoTags: ['local/deep:1'], Layers }]
  const documents = [
    { path: 'config.json', content: JSON.stringify(deep) },
    { path: 'manifest.json', content: JSON.stringify(manifest) },
  ]
  writeFileSync(file, tarOf([...entries, ...documents]))
  return layers.length
}

scenario(
  `an image of ${String(LAYERS)} layers runs, and another is made on top of it`,
  async () => {
    await daemon.up('base', {
      services: { app: { image: 'host:sh,coreutils', command: ['true'] } },
    })
    await daemon.down('base')
    const own = await writeDeepImage(path.join(tsstack.directory, 'deep.tar'))
    const packed = path.join(tsstack.directory, 'deep.tar.zst')
    execFileSync('zstd', ['-q', path.join(tsstack.directory, 'deep.tar'), '-o', packed])
    expect(await tsstack.ok(`image load -i ${packed}`)).toBe('Loaded image: local/deep:1')
    expect(
      await tsstack.ok(['image', 'inspect', '-f', '{{len .RootFS.Layers}}', 'local/deep:1']),
    ).toBe(String(LAYERS))
    await tsstack.ok('up -d')
    const { id } = await daemon.container('deep', 'app')
    const look =
      'cat /last; echo; cat /layers/0; ls /layers | wc -l; ls /opaque; test -e /layers/3 || echo gone'
    expect(await daemon.sh(id, look)).toBe(`${String(own - 1)}\n0\n${String(own - 1)}\nnew\ngone`)
    await daemon.sh(id, 'echo mine > /mine; rm /layers/0')
    await tsstack.ok('commit app local/deep:2')
    tsstack.edit('stack.yaml', 'local/deep:1', 'local/deep:2')
    const script = 'ls /layers | wc -l; cat /mine; test -e /layers/0 || echo gone'
    expect(await tsstack.ok(['run', '--rm', '-T', 'app', 'sh', '-c', script])).toBe(
      `${String(own - 2)}\nmine\ngone`,
    )

    const inUse = await tsstack.run('image rm local/deep:1')
    expect(inUse).toMatchObject({ exitCode: 1 })
    expect(inUse.stderr).toContain('it is used by container "deep-app-1"')
    expect(
      jsonOf(await tsstack.ok('image ls --format json --filter reference=local/*:1')),
    ).toMatchObject([{ Repository: 'local/deep', Tag: '1', Containers: '1' }])
    expect((await tsstack.ok('image history -q --no-trunc local/deep:2')).split('\n')[0]).toMatch(
      /^sha256:[0-9a-f]{64}$/,
    )
  },
)

scenario('what takes room is told of each thing, and made of what a filter leaves', async () => {
  const details = JSON.parse(await tsstack.ok('system df -v --format json')) as UsageDetails
  const sizes = new Map(details.images.map((image) => [image.reference, image]))
  // The second image has only what was written into the container of the first.
  expect(sizes.get('local/deep:2')?.uniqueBytes).toBe('mine\n'.length)
  expect(sizes.get('local/deep:1')?.uniqueBytes).toBe(0)
  expect(details.containers).toMatchObject([{ name: 'deep-app-1', state: 'running' }])
  const [images] = await daemon.client.diskUsage()
  const real = bytesOf('*/tree/*') + bytesOf('*/blobs/*')
  expect(images?.sizeBytes).toBe(real)
  expect(await tsstack.ok('system df -v')).toMatch(/UNIQUE SIZE +CONTAINERS\n[\s\S]*deep-app-1/)

  const before = await tsstack.ok('image ls -q')
  await tsstack.ok('system prune -af --filter label=nobody')
  await tsstack.ok('image prune -af --filter until=1000000h')
  expect(await tsstack.ok('image ls -q')).toBe(before)
  const wrong = await tsstack.run('system prune -f --filter colour=red')
  expect(wrong.stderr).toContain('invalid filter "colour=red"')
  await tsstack.ok('down')
  const pruned = await tsstack.ok('image prune -af --filter until=1ms')
  expect(pruned).toContain('Untagged: local/deep:2')
  expect(pruned).toMatch(/Total reclaimed space: [\d.]+MB/)
  expect(await tsstack.ok('image ls -q')).toBe('')
})

/** Of the files of the store at such paths, each once. */
function bytesOf(pattern: string): number {
  const store = path.join(daemon.stateDir, 'images')
  const words = ['-path', pattern, '-type', 'f', '-printf', '%i %s\n']
  const lines = new Set(
    execFileSync('find', [store, ...words])
      .toString()
      .trim()
      .split('\n'),
  )
  return [...lines].reduce((total, line) => total + Number(line.split(' ')[1]), 0)
}
