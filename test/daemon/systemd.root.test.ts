/** The daemon as a service of a real systemd: in the virtual machine (`npm run test:vm`), or wherever systemd runs. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { eventually } from '../eventually.ts'

/** As people call it: what the service runs is bundled by the first call, not within systemd's time limit. */
const PROGRAM = path.join(import.meta.dirname, '../../tsstack')
const SOCKET = '/run/tsstack/tsstack.sock'
const STACK = `
services:
  db: { image: "host:sh,coreutils", command: [sleep, "1000"], network_mode: none, restart: always }
`

/** Only where nobody has installed it: this host's own service must not be touched. */
const isPossible =
  existsSync('/run/systemd/system') && !existsSync('/etc/systemd/system/tsstack.service')

function tsstack(...words: readonly string[]): string {
  return execFileSync(PROGRAM, words, { encoding: 'utf8' })
}

function show(property: string): string {
  const words = ['show', '--value', '-p', property, 'tsstack.service']
  return execFileSync('systemctl', words, { encoding: 'utf8' }).trim()
}

const reason = isPossible ? '' : ' (skipped: this host has no systemd)'

describe.skipIf(!isPossible)(`under systemd${reason}`, () => {
  const client = createClient({ socket: SOCKET })
  let home: string
  let containerPid: number

  const databasePid = async (): Promise<number> => {
    const [container] = await client.containers({ stack: 'booted', all: true })
    return (await client.container(container?.id ?? '')).pid ?? 0
  }

  beforeAll(async () => {
    home = mkdtempSync(path.join(os.tmpdir(), 'tsstack-systemd-'))
    writeFileSync(path.join(home, 'stack.yaml'), STACK)
    tsstack('version') // bundled now
    try {
      tsstack('daemon', 'install')
    } catch (error) {
      process.stderr.write(
        execFileSync('journalctl', ['-u', 'tsstack', '-n', '50'], { encoding: 'utf8' }),
      )
      throw error
    }
    tsstack('-f', path.join(home, 'stack.yaml'), '-p', 'booted', 'up', '-d')
    containerPid = await databasePid()
  }, 600_000)
  afterAll(() => {
    if (isPossible) {
      tsstack('-p', 'booted', 'down', '-t', '0')
      tsstack('daemon', 'uninstall')
      expect(existsSync('/etc/systemd/system/tsstack.service')).toBe(false)
    }
    rmSync(home, { recursive: true, force: true })
  }, 600_000)

  test('the service is active, and systemd knows its process', async () => {
    expect(show('ActiveState')).toBe('active')
    expect(show('MainPID')).toBe(String((await client.version()).pid))
    expect(tsstack('daemon', 'status')).toContain('service: tsstack.service (active, enabled)')
  })

  test('containers are no part of the service and survive its restart', async () => {
    expect(readFileSync(`/proc/${containerPid}/cgroup`, 'utf8')).not.toContain('tsstack.service')
    const before = (await client.version()).pid
    execFileSync('systemctl', ['restart', 'tsstack.service'])
    expect((await client.version()).pid).not.toBe(before)
    expect(await databasePid()).toBe(containerPid)
  })

  test('reload and renewal keep the process', async () => {
    const before = await client.version()
    execFileSync('systemctl', ['reload', 'tsstack.service'])
    tsstack('daemon', 'upgrade')
    const after = await client.version()
    expect(after.pid).toBe(before.pid)
    expect(after.startedAt).not.toBe(before.startedAt)
    expect(show('ActiveState')).toBe('active')
    expect(await databasePid()).toBe(containerPid)
  })

  test('the socket starts a service that was stopped', async () => {
    execFileSync('systemctl', ['stop', 'tsstack.service'])
    expect(spawnSync('kill', ['-0', String(containerPid)]).status).toBe(0)
    expect(await databasePid()).toBe(containerPid)
    await eventually('an active service', () => show('ActiveState') === 'active')
  })
})
