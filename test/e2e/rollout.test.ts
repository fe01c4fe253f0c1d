/** Updates of a published service: under load, of bad versions, and with a daemon that is killed in the middle of one. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'
import { testWith, tryExample, type CommandLine, type Outcome } from './command-line.ts'
import { underLoad, WRK } from './load.ts'

const URL = 'http://127.0.0.1:8080'
const URL_IPV6 = 'http://[::1]:8080'

let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})

function up(tsstack: CommandLine, version: string): Promise<Outcome> {
  return tsstack.run('up -d', { env: { VERSION: version } })
}

async function withExample(body: (tsstack: CommandLine) => Promise<void>): Promise<void> {
  await tryExample('rolling', daemon, async (tsstack) => {
    tsstack.edit('stack.yaml', 'interval: 1s', 'interval: 200ms')
    await tsstack.ok('up -d --wait')
    await body(tsstack)
  })
}

async function names(tsstack: CommandLine): Promise<string[]> {
  return (await tsstack.ok(['ps', '-a', '--format', '{{.Name}}'])).split('\n')
}

testWith(WRK, 'an update that starts first fails no request', async () => {
  await withExample(async (tsstack) => {
    for (const [version, isClosing] of [
      ['2', false],
      ['3', true],
    ] as const) {
      const loads = [URL, URL_IPV6].map((url) => ({ url, isClosing }))
      const results = await underLoad(daemon, loads, async () => {
        const { exitCode, stderr } = await up(tsstack, version)
        expect(exitCode, stderr).toBe(0)
      })
      for (const [index, { requests, failures }] of results.entries()) {
        expect(requests).toBeGreaterThan(100)
        expect(failures, JSON.stringify(loads[index])).toBe(0)
      }
      expect(await tsstack.curl(URL)).toBe(`version ${version}`)
    }
    expect(await names(tsstack)).toEqual(['rolling-web-1'])
  })
})

testWith(WRK, 'the same update fails requests when it stops first', async () => {
  await withExample(async (tsstack) => {
    tsstack.edit('stack.yaml', 'order: start-first', 'order: stop-first')
    const [result] = await underLoad(daemon, [{ url: URL }], async () => {
      expect((await up(tsstack, '2')).exitCode).toBe(0)
    })
    expect(result?.failures).toBeGreaterThan(0)
    // The kernel may remember where connections from the same port went, and the next one has one of these ports.
    for (let count = 0; count < 20; count++) expect(await tsstack.curl(URL)).toBe('version 2')
  })
})

test('plan says how a service is updated', async () => {
  await withExample(async (tsstack) => {
    const { stdout } = await tsstack.run('plan', { env: { VERSION: '2' } })
    expect(stdout).toContain('environment.VERSION changed, rolling, start-first')
  })
})

test('a version that never becomes healthy leaves the old one serving', async () => {
  await withExample(async (tsstack) => {
    const [before] = await tsstack.ids('web')
    const { exitCode, stderr } = await up(tsstack, 'bad')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('Cannot update service "web"')
    expect(stderr).toContain('is unhealthy: HTTP 500; rolled back, the version before serves')
    expect(await tsstack.curl(URL)).toBe('version 1')
    expect(await tsstack.ids('web')).toEqual([before])
    expect((await up(tsstack, '1')).exitCode).toBe(0)
    expect(await tsstack.ids('web')).toEqual([before])
  })
})

test('a rollback starts the old container again when it was stopped first', async () => {
  await withExample(async (tsstack) => {
    tsstack.edit('stack.yaml', 'order: start-first', 'order: stop-first')
    const [before] = await tsstack.ids('web')
    const { exitCode, stderr } = await up(tsstack, 'bad')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('rolled back')
    expect(await tsstack.curl(URL)).toBe('version 1')
    expect(await tsstack.ids('web')).toEqual([before])
    expect(await names(tsstack)).toEqual(['rolling-web-1'])
  })
})

test('a pause keeps the failed container for its log, until the next up', async () => {
  await withExample(async (tsstack) => {
    tsstack.edit('stack.yaml', 'failure_action: rollback', 'failure_action: pause')
    const { exitCode, stderr } = await up(tsstack, 'bad')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('the version before goes on serving')
    expect(await tsstack.curl(URL)).toBe('version 1')
    expect(await names(tsstack)).toEqual(['rolling-web-1', 'rolling-web-1-next'])
    expect((await up(tsstack, '2')).exitCode).toBe(0)
    expect(await tsstack.curl(URL)).toBe('version 2')
    expect(await names(tsstack)).toEqual(['rolling-web-1'])
  })
})

test('replicas are updated some at a time, and failures up to a ratio are only told', async () => {
  await withExample(async (tsstack) => {
    tsstack.edit('stack.yaml', '8080:8080', '8080-8089:8080')
    tsstack.edit('stack.yaml', 'update_config:', 'replicas: 4\n      update_config:')
    tsstack.edit('stack.yaml', 'monitor: 500ms', 'parallelism: 2\n        max_failure_ratio: 1')
    await tsstack.ok('up -d --wait')
    const before = await tsstack.ids('web')
    expect((await tsstack.run('plan', { env: { VERSION: '2' } })).stdout).toContain('2 at a time')
    const bad = await up(tsstack, 'bad')
    expect(bad.exitCode, bad.stderr).toBe(0)
    expect(bad.stderr).toContain('not updated: container "rolling-web-1-next" is unhealthy')
    expect(await tsstack.ids('web')).toEqual(before)
    expect((await up(tsstack, '2')).exitCode).toBe(0)
    const ports = [8080, 8081, 8082, 8083]
    for (const port of ports)
      expect(await tsstack.curl(`http://127.0.0.1:${String(port)}`)).toBe('version 2')
    expect(await names(tsstack)).toHaveLength(ports.length)
  })
})

test('a daemon that is killed in the middle of an update leaves one version serving', async () => {
  await withExample(async (tsstack) => {
    tsstack.edit('stack.yaml', 'monitor: 500ms', 'monitor: 4s')
    const [before] = await tsstack.ids('web')
    tsstack.edit('stack.yaml', 'VERSION:-1', 'VERSION:-2')
    const updating = tsstack.start('up -d')
    await eventually('the new container', async () =>
      (await tsstack.ok('ps')).includes('rolling-web-1-next'),
    )
    await daemon.kill()
    await updating.exitCode
    await daemon.start()
    expect(await tsstack.curl(URL)).toBe('version 1')
    // The daemon goes on with it by itself, which the command waits for.
    await tsstack.ok('up -d')
    expect(await tsstack.curl(URL)).toBe('version 2')
    expect(await names(tsstack)).toEqual(['rolling-web-1'])
    expect(await tsstack.ids('web')).not.toContain(before)
  })
})
