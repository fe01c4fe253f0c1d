/**
 * examples/shop from its Dockerfile: a Debian out of debootstrap, pushed to a registry; PostgreSQL, Redis, nginx and Node
 * installed by apt in RUN steps; and the shop up on what was built. A second build makes nothing.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { missingPrograms, startRegistry } from '../registry-fixture.ts'
import { startWebProxy } from '../web-proxy.ts'
import { commandLine, copyExample, jsonOf, type CommandLine } from './command-line.ts'

const ROOT = path.join(import.meta.dirname, '../..')
/** Made once for each clone. */
const BASE_ARCHIVE = path.join(ROOT, '.cache/debian-base.tar')
const SHOP = 'http://127.0.0.1:8081'
const FILES = '-f stack.yaml -f built.yaml'
/** Much is downloaded and unpacked: a few hundred megabytes on a machine that is busy. */
const BUILD_TIMEOUT_MS = 480_000
const PACKING_MS = 60_000

const without =
  process.getuid?.() === 0
    ? missingPrograms('debootstrap', 'docker-registry', 'curl')
    : ' (skipped: needs root)'

function baseArchive(): string {
  if (!existsSync(BASE_ARCHIVE)) {
    mkdirSync(path.dirname(BASE_ARCHIVE), { recursive: true })
    const script = path.join(ROOT, 'examples/shop/base/make-base.sh')
    execFileSync(script, [BASE_ARCHIVE], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  return BASE_ARCHIVE
}

async function order(tsstack: CommandLine): Promise<void> {
  const body = JSON.stringify({ product: 'teapot', quantity: 2 })
  const { id } = JSON.parse(await tsstack.curl(`${SHOP}/orders`, '--data', body)) as { id: number }
  await eventually(
    'the order to be packed',
    async () => (await tsstack.curl(`${SHOP}/orders/${String(id)}`)).includes('"packed"'),
    PACKING_MS,
  )
}

/** Runs a body with a daemon, a registry beside it that has the base image, and a way out for apt. */
async function withBase(
  body: (
    tsstack: CommandLine,
    env: Readonly<Record<string, string>>,
    daemon: DaemonFixture,
  ) => Promise<void>,
): Promise<void> {
  const daemon = await startDaemonFixture()
  const registry = await startRegistry({ netns: daemon.netns })
  const proxy = await startWebProxy(daemon.netns, daemon.scratch)
  try {
    const tsstack = commandLine(daemon, copyExample('shop', daemon))
    const base = `${registry.host}/debian:bookworm`
    await tsstack.ok(['image', 'import', baseArchive(), base])
    await tsstack.ok(`image push --compression zstd ${base}`) // quicker than gzip
    await tsstack.ok(`image rm ${base}`)
    await body(tsstack, { BASE: base, BUILD_NETWORK: 'host', http_proxy: proxy.url }, daemon)
    await tsstack.ok(`${FILES} down -v`, { env: { BASE: base } })
  } finally {
    proxy.close()
    await registry.close()
    await daemon.close()
  }
}

test.skipIf(without !== '')(
  `the shop is built on a Debian of its own, and works${without}`,
  () =>
    withBase(async (tsstack, env, daemon) => {
      const options = { env, timeoutMs: BUILD_TIMEOUT_MS }
      await tsstack.ok(`${FILES} up -d --build`, options)
      await order(tsstack)
      const versions = {
        db: ['postgres', '--version'],
        queue: ['redis-server', '--version'],
        front: ['nginx', '-v'],
      }
      for (const [service, command] of Object.entries(versions))
        await tsstack.ok([...FILES.split(' '), 'exec', '-T', service, ...command], { env })

      const before = await daemon.client.containers({ stack: 'shop' })
      const again = await tsstack.run(`${FILES} build`, options)
      expect(again.exitCode).toBe(0)
      expect(again.stderr).not.toMatch(/\bDone\b/)
      await tsstack.ok(`${FILES} up -d --build`, options)
      const after = await daemon.client.containers({ stack: 'shop' })
      expect(after.map(({ id }) => id).sort()).toEqual(before.map(({ id }) => id).sort())
      expect(jsonOf(await tsstack.ok('images --format json', { env })).length).toBeGreaterThan(0)
    }),
  2 * BUILD_TIMEOUT_MS,
)
