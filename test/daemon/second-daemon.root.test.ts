import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'

test('what a daemon that was killed has left of its claim the next one removes', async () => {
  const left = '/run/tsstack-net-1.lock'
  writeFileSync(left, '')
  const daemon = await startDaemonFixture()
  expect(existsSync(left)).toBe(false)
  expect(readdirSync('/run').filter((name) => name.startsWith('tsstack-net-'))).not.toEqual([])
  await daemon.close()
})

describe('a second daemon', () => {
  let daemon: DaemonFixture
  beforeAll(async () => {
    daemon = await startDaemonFixture()
  })
  afterAll(async () => {
    await daemon.close()
  })

  test('of the same directories leaves without a word of failure', async () => {
    const { exitCode, log } = await daemon.second()
    expect(exitCode).toBe(0)
    expect(log).toContain('another daemon is running')
  })

  test('of other directories does not take the network of the first', async () => {
    const own = (name: string): string => path.join(daemon.scratch, name)
    const { exitCode, log } = await daemon.second({
      TSSTACK_RUN_DIR: own('run'),
      TSSTACK_STATE_DIR: own('state'),
      TSSTACK_CGROUP_PARENT: `${daemon.cgroupParent}-second`,
    })
    expect(exitCode).toBe(1)
    expect(log).toContain('another one, with other directories, has the network of this host')
    expect(log).not.toContain('    at ')
  })
})
