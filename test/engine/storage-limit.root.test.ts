/** `storage_opt: size`: a limited writable layer, through a real daemon. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { collect, failureOf, startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const STACK = 'limited'
const WRITE = (mebibytes: number, file: string): string =>
  `head -c ${mebibytes * 1024 * 1024} /dev/zero >${file} && echo fits || echo full`
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})
afterEach(async () => {
  await daemon.down(STACK, { volumes: true })
})

async function start(storageOptions: Record<string, string>): Promise<string> {
  const service: Service = {
    image: 'host:sh,coreutils',
    command: ['sleep', '1000'],
    network_mode: 'none',
    stop_grace_period: '0s',
    storage_opt: storageOptions,
  }
  await daemon.up(STACK, { services: { s: service } })
  return (await daemon.container(STACK, 's')).id
}

const lifecycle = async (action: 'start' | 'stop'): Promise<void> => {
  await collect(daemon.client.lifecycle(STACK, { action }))
}
const homeOf = (id: string): string => path.join(daemon.stateDir, 'snapshots', 'overlay', id)

/** The loop devices that have a file of this daemon's. */
function loopDevices(): string[] {
  return readdirSync('/sys/block').filter((name) => {
    const file = `/sys/block/${name}/loop/backing_file`
    return existsSync(file) && readFileSync(file, 'utf8').startsWith(daemon.stateDir)
  })
}

describe('storage_opt', () => {
  test('as much as is asked for can be written, and no more; it is gone with the container', async () => {
    const id = await start({ size: '32m' })
    expect(await daemon.sh(id, WRITE(16, '/sixteen'))).toBe('fits')
    expect(await daemon.sh(id, WRITE(32, '/more 2>/dev/null'))).toBe('full')
    expect(await daemon.sh(id, 'rm /more; echo kept >/kept; cat /kept')).toBe('kept')
    expect(loopDevices()).toHaveLength(1)
    await daemon.down(STACK)
    await eventually('the device to go', () => loopDevices().length === 0)
    expect(existsSync(homeOf(id))).toBe(false)
  })

  test('what was written is there after a stop, a crash of the daemon and a restart of the host', async () => {
    const id = await start({ size: '32m' })
    await daemon.sh(id, 'echo kept >/kept')
    await daemon.kill()
    await daemon.start()
    expect(await daemon.sh(id, 'cat /kept')).toBe('kept')
    await lifecycle('stop')
    // What a host that starts has not: the mount, and so the device.
    const inDaemon = ['--target', String(daemon.pid), '--mount']
    execFileSync('nsenter', [...inDaemon, 'umount', path.join(homeOf(id), 'disk')])
    await eventually('the device to go', () => loopDevices().length === 0)
    await lifecycle('start')
    expect(await daemon.sh(id, 'cat /kept')).toBe('kept')
    expect(await daemon.sh(id, WRITE(32, '/more 2>/dev/null'))).toBe('full')
  })

  test.each([
    [{ size: '1m' }, '16 MiB at least'],
    [{ size: '4096t' }, 'the disk is smaller than that'],
    [{ 'dm.basesize': '1g' }, 'only "size" is known'],
  ])('%j is refused, and leaves nothing', async (options, message) => {
    expect((await failureOf(start(options))).message).toContain(message)
    expect(loopDevices()).toEqual([])
  })
})
