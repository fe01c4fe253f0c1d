/** The daemon's own log file: shifted when it has grown, opened anew and told a new level by SIGHUP; and `daemon upgrade`. */
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { commandLine } from '../e2e/command-line.ts'
import { eventually } from '../eventually.ts'

const directory = mkdtempSync(path.join(os.tmpdir(), 'tsstack-log-'))
const FILE = path.join(directory, 'daemon.log')
const SETTINGS = path.join(directory, 'settings.env')
const READ_AGAIN = 'settings were read again'

let daemon: DaemonFixture

beforeAll(async () => {
  writeFileSync(SETTINGS, '')
  daemon = await startDaemonFixture({
    environment: { TSSTACK_LOG_FILE: FILE, TSSTACK_SETTINGS: SETTINGS },
  })
})
afterAll(async () => {
  await daemon.close()
  rmSync(directory, { recursive: true })
})

/** Sends SIGHUP until it shows; each one writes a line. */
async function reloadUntil(what: string, isSo: () => boolean): Promise<void> {
  await eventually(what, () => {
    process.kill(daemon.pid, 'SIGHUP')
    return isSo()
  })
}

function logged(): string {
  return existsSync(FILE) ? readFileSync(FILE, 'utf8') : ''
}

test('a file that was moved away is begun anew', async () => {
  renameSync(FILE, `${FILE}.moved`)
  await reloadUntil('a new file', () => logged().includes(READ_AGAIN))
})

test('a smaller limit holds from now on, and three older files are kept', async () => {
  writeFileSync(SETTINGS, 'TSSTACK_LOG_MAX_SIZE=200\n')
  await reloadUntil('three older files', () => existsSync(`${FILE}.3`))
  rmSync(`${FILE}.3`)
  await reloadUntil('one more shift', () => existsSync(`${FILE}.3`))
  expect(readFileSync(`${FILE}.2`, 'utf8')).toContain(READ_AGAIN)
  expect(existsSync(`${FILE}.4`)).toBe(false)
})

test('a level holds from now on; settings that are wrong change nothing', async () => {
  writeFileSync(SETTINGS, 'TSSTACK_LOG_LEVEL=error\nTSSTACK_LOG_MAX_SIZE=10m\n')
  // Signals of the test before may still be on their way: they find the old level.
  await eventually('a reload that says nothing', async () => {
    rmSync(FILE, { force: true })
    process.kill(daemon.pid, 'SIGHUP')
    await eventually('a new file', () => existsSync(FILE))
    return logged() === ''
  })
  writeFileSync(SETTINGS, 'TSSTACK_LOG_LEVEL=loud\n')
  await reloadUntil('the mistake', () => logged().includes('settings stay as they were'))
  expect(logged()).not.toContain(READ_AGAIN)
})

test('daemon upgrade renews the same process, and containers notice nothing', async () => {
  writeFileSync(SETTINGS, '')
  const service = { image: 'host:sh,coreutils', command: ['sleep', '1000'], init: true }
  await daemon.up('upgraded', { services: { s: { ...service, network_mode: 'none' } } })
  const before = await daemon.client.container((await daemon.container('upgraded', 's')).id)
  const { pid } = daemon
  const { exitCode, stderr } = await commandLine(daemon, directory).run('daemon upgrade')
  expect([exitCode, stderr]).toEqual([0, expect.stringContaining(`pid ${String(pid)}`)])
  const after = await daemon.client.container(before.id)
  expect([after.pid, after.state, after.startedAt]).toEqual([
    before.pid,
    'running',
    before.startedAt,
  ])
  await daemon.down('upgraded', { timeoutSeconds: 0 })
})
