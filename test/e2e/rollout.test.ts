/** Updates of a published service under load, good and bad ones, and a daemon that is killed in the middle of one. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { execa } from 'execa'
import path from 'node:path'
import { eventually } from '../eventually.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { commandLine, copyExample, tryExample, type CommandLine } from './command-line.ts'

const AUTOCANNON = path.join(import.meta.dirname, '../../node_modules/autocannon/autocannon.js')
/** A long run sets more. */
const REQUESTS = Number(process.env['TSSTACK_ROLLOUT_REQUESTS'] ?? 4000)
const CONNECTIONS = 50
const URL = 'http://127.0.0.1:8080'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

interface LoadResult {
  readonly errors: number
  readonly timeouts: number
  readonly non2xx: number
  readonly '2xx': number
}

/** A load of requests, at the same time on 50 connections, until `stop`. */
function load(args: readonly string[] = []): { stop(): Promise<LoadResult> } {
  const words = ['-c', String(CONNECTIONS), '-a', String(REQUESTS), '-R', '800', '-j', '-n', ...args, URL]
  const child = execa('nsenter', [`--net=${daemon.netns}`, process.execPath, AUTOCANNON, ...words])
  return {
    stop: async () => {
      const { stdout } = await child
      return JSON.parse(stdout) as LoadResult
    },
  }
}

test('debug', async () => {
  await tryExample('rolling', daemon, async (tsstack) => {
    await tsstack.ok('up -d --wait')
    console.log(await tsstack.curl(URL))
    console.log(await tsstack.ok('plan', { env: { VERSION: '2' } }))
    for (const args of [[], ['-r', '1'], ['-D', '1']]) {
      console.log(args)
    }
    const loading = load([])
    await new Promise((r) => setTimeout(r, 500))
    const out = await tsstack.run('up -d', { env: { VERSION: '2' } })
    console.log(out.exitCode, out.stdout, out.stderr)
    console.log(await loading.stop())
    console.log(await tsstack.curl(URL))
    const bad = await tsstack.run('up -d', { env: { VERSION: 'bad' } })
    console.log(bad.exitCode, bad.stdout, bad.stderr)
    console.log(await tsstack.curl(URL))
    console.log(await tsstack.ok('ps -a'))
  })
})
