/**
 * The image store and SIGKILL: a daemon is killed at random moments of what changes the store, several at once. After each
 * restart every image that is listed is whole, what is in use is there, and the next collection leaves nothing behind.
 *
 *   TSSTACK_CRASH_ROUNDS=100 TSSTACK_CRASH_SEED=7 vitest run --project e2e test/e2e/image-crashes.test.ts
 */
import { createHash, randomBytes } from 'node:crypto'
import path from 'node:path'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import zlib from 'node:zlib'
import { expect, test } from 'vitest'
import { collect, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { damageOf, orphansOf } from '../engine/images/audit-store.ts'
import { tarOf } from '../engine/images/tar-archive.ts'
import { eventually } from '../eventually.ts'
import { missingPrograms, startRegistry } from '../registry-fixture.ts'
import { createRandom, type Random } from './chaos/random.ts'

const ROUNDS = Number(process.env['TSSTACK_CRASH_ROUNDS'] ?? 2)
const SEED = Number(process.env['TSSTACK_CRASH_SEED'] ?? 1)
const MS_PER_ROUND = 15_000
const LONGEST_MS = 150
const IMAGES = 3

const without =
  process.getuid?.() === 0 ? missingPrograms('docker-registry') : ' (skipped: needs root)'

const digestOf = (bytes: Buffer): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

/** As `docker save` writes it: images with a layer that they share, and each one of its own, of many small files. */
function archiveOf(host: string): Buffer {
  const layer = (prefix: string, bytes: number): Buffer =>
    tarOf([
      ...Array.from({ length: 60 }, (_, index) => ({
        path: `${prefix}-${String(index)}`,
        content: `${prefix} ${String(index)}`,
      })),
      { path: `${prefix}-large`, content: randomBytes(bytes) },
    ])
  const shared = layer('shared', 3 << 20)
  const images = Array.from({ length: IMAGES }, (_, index) => {
    const own = layer(`own${String(index)}`, 1 << 20)
    const config = JSON.stringify({
      os: 'linux',
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      config: { Cmd: ['true'] },
      rootfs: { type: 'layers', diff_ids: [shared, own].map(digestOf) },
    })
    return { own, config, name: `${host}/crash/image:${String(index)}` }
  })
  return tarOf([
    { path: 'shared.tar', content: zlib.gzipSync(shared, { level: 1 }) },
    ...images.flatMap(({ own, config }, index) => [
      { path: `${String(index)}.tar`, content: own },
      { path: `${String(index)}.json`, content: config },
    ]),
    {
      path: 'manifest.json',
      content: JSON.stringify(
        images.map(({ name }, index) => ({
          Config: `${String(index)}.json`,
          RepoTags: [name],
          Layers: ['shared.tar', `${String(index)}.tar`],
        })),
      ),
    },
  ])
}

interface Scene {
  readonly daemon: DaemonFixture
  readonly random: Random
  readonly archive: Buffer
  readonly pulled: readonly string[]
  /** A running container, whose image must stay. */
  readonly container: string
}

async function save({ client }: DaemonFixture, names: readonly string[]): Promise<void> {
  const archive = await client.saveImages(names)
  await finished(archive.resume())
}

const ACTIONS = {
  load: ({ daemon, archive }) => daemon.client.loadImages(Readable.from([archive])),
  pull: ({ daemon, pulled }) => collect(daemon.client.pullImages({ references: pulled })),
  commit: async ({ daemon, container, random }) => {
    const reference = random.chance(0.5) ? { reference: 'local/committed:1' } : {}
    await daemon.client.commit(container, { ...reference, changes: [], pause: true })
  },
  import: ({ daemon }) =>
    daemon.client.importImage(Readable.from([tarOf([{ path: 'f', content: randomBytes(9999) }])]), {
      changes: [],
    }),
  save: ({ daemon, pulled }) => save(daemon, pulled),
  remove: ({ daemon, pulled }) => daemon.client.removeImages({ images: pulled, force: true }),
  prune: ({ daemon }) => daemon.client.pruneImages({ all: false }),
  pruneAll: ({ daemon }) => daemon.client.pruneImages({ all: true }),
} satisfies Record<string, (scene: Scene) => Promise<unknown>>

type Action = keyof typeof ACTIONS
const NAMES = Object.keys(ACTIONS) as [Action, ...Action[]]

/** @returns what was under way */
async function killDuring(scene: Scene): Promise<Action[]> {
  const { daemon, random } = scene
  const chosen = Array.from({ length: 1 + random.integer(4) }, () => random.pick(NAMES))
  const running = chosen.map((name) => Promise.resolve(ACTIONS[name](scene)).catch(() => undefined))
  await Promise.race([
    Promise.all(running),
    new Promise((resolve) => setTimeout(resolve, random.integer(LONGEST_MS))),
  ])
  await daemon.kill()
  await Promise.all(running)
  return chosen
}

async function checkStore({ daemon, container }: Scene): Promise<void> {
  const root = path.join(daemon.stateDir, 'images')
  expect(damageOf(root)).toEqual([])
  const images = await daemon.client.imageList()
  expect(images.filter(({ containers }) => containers > 0)).toHaveLength(1)
  for (const { id } of images) await save(daemon, [id])
  await daemon.client.pruneImages({ all: false })
  await eventually('the sweep of drafts', () => orphansOf(root).length === 0, 2000).catch(
    () => undefined,
  )
  expect(orphansOf(root)).toEqual([])
  expect(await daemon.sh(container, 'cat /w/0')).toBe('mine')
}

/** A container that is paused for a commit runs on when the daemon that held it is gone. */
async function killWhileHeld({ daemon, container }: Scene): Promise<void> {
  await daemon.sh(container, 'head -c 60000000 /dev/zero > /w/large')
  const committing = daemon.client.commit(container, { changes: [], pause: true })
  committing.catch(() => undefined)
  await eventually('the pause', async () => {
    const { state } = await daemon.container('crash', 'app')
    return state === 'paused'
  })
  await daemon.kill()
  await daemon.start()
  expect(await daemon.sh(container, 'rm /w/large; cat /w/0')).toBe('mine')
}

/** Nothing of it may fail for want of what a clean-up has taken. */
async function workWhilePruning(scene: Scene): Promise<void> {
  const { client } = scene.daemon
  let isOver = false
  const prune = async (): Promise<void> => {
    while (!isOver) await client.pruneImages({ all: true })
  }
  const pruning = prune()
  try {
    const image = 'host:sh,coreutils,sed'
    const app = { image, command: ['sleep', '3600'], stop_signal: 'SIGKILL' }
    const stack = scene.daemon.up('other', { services: { app } })
    await Promise.all([
      stack,
      ...(['load', 'pull', 'commit', 'import'] as const).map((name) => ACTIONS[name](scene)),
    ])
    expect(await scene.daemon.container('other', 'app')).toMatchObject({ state: 'running' })
  } finally {
    isOver = true
    await pruning
  }
  await scene.daemon.down('other')
}

test.skipIf(without !== '')(
  `whenever the daemon is killed, images are whole and nothing is left of others${without}`,
  { timeout: 60_000 + ROUNDS * MS_PER_ROUND },
  async () => {
    const daemon = await startDaemonFixture()
    const registry = await startRegistry({ netns: daemon.netns })
    const done: Action[][] = []
    try {
      const archive = archiveOf(registry.host)
      const loaded = await daemon.client.loadImages(Readable.from([archive]))
      const pulled = loaded.flatMap(({ names }) => names)
      await collect(daemon.client.pushImages({ references: pulled }))
      const script = 'mkdir /w; for i in $(seq 0 40); do echo mine > /w/$i; done; exec sleep 3600'
      const app = { image: 'host:sh,coreutils', command: ['sh', '-c', script] }
      await daemon.up('crash', { services: { app: { ...app, stop_signal: 'SIGKILL' } } })
      const { id: container } = await daemon.container('crash', 'app')
      const scene = { daemon, random: createRandom(SEED), archive, pulled, container }
      for (let round = 0; round < ROUNDS; round++) {
        done.push(await killDuring(scene))
        await daemon.start()
        await checkStore(scene)
      }
      await killWhileHeld(scene)
      await workWhilePruning(scene)
      await daemon.client.pruneImages({ all: true })
      expect(await daemon.client.imageList()).toHaveLength(1)
    } catch (error) {
      const rounds = done.map((actions) => actions.join(' + ')).join('\n')
      throw new Error(`seed ${String(SEED)}: ${String(error)}\n${rounds}`, { cause: error })
    } finally {
      await registry.close()
      await daemon.close()
    }
  },
)
