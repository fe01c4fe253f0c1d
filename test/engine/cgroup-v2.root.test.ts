/** The v2 driver on whatever v2 tree this host has: on a hybrid one without the controllers, which is said as a warning. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { createCgroupV2Driver } from '../../src/engine/cgroup/cgroup-v2.ts'
import { parseCgroupMounts } from '../../src/engine/cgroup/hierarchy.ts'
import type { CgroupHandle } from '../../src/engine/cgroup/cgroup.ts'

const mounts = parseCgroupMounts(readFileSync('/proc/self/mountinfo', 'latin1'))
const mountpoint = mounts.find((mount) => mount.version === 2)?.mountpoint
const base = `${mountpoint}/tsstack-test2-${process.pid}`
const driver = createCgroupV2Driver(base)
let children: ChildProcess[] = []

async function eventually(what: string, done: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!done()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function run(handle: CgroupHandle, script: string): ChildProcess {
  const child = spawn('/bin/sh', ['-c', `echo 0 > ${handle.joinFiles[0]} && { ${script}\n}`], {
    stdio: 'ignore',
  })
  children.push(child)
  return child
}

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  for (const name of driver.list()) {
    driver.open(name).killAll()
    await eventually('removal', () => driver.open(name).remove())
  }
  expect(existsSync(base)).toBe(false)
})

describe.skipIf(mountpoint === undefined)('cgroup v2 driver (needs a mounted cgroup2 tree)', () => {
  it('create() makes the directory for CLONE_INTO_CGROUP and says what the tree lacks', () => {
    const handle = driver.create('shop/db', { memoryBytes: 1 << 26, pids: 5 })
    expect(existsSync(handle.cloneDirectory ?? '')).toBe(true)
    const available = readFileSync(`${mountpoint}/cgroup.controllers`, 'latin1').split(/\s/)
    const warned = handle.warnings.map((warning) => warning.limit)
    expect(warned.includes('memoryBytes')).toBe(!available.includes('memory'))
    expect(warned.includes('pids')).toBe(!available.includes('pids'))
    expect(driver.list()).toEqual(['shop/db'])
  })

  it('create() lets nobody open a device that is not on the list, update() changes the list', async () => {
    const handle = driver.create('shop/db', {})
    const opens = async (device: string): Promise<number | null> => {
      const [code] = (await once(run(handle, `: <${device}`), 'exit')) as [number | null]
      return code
    }
    expect(await opens('/dev/null')).toBe(0)
    expect(await opens('/dev/loop-control')).not.toBe(0)
    const loop = { allow: true, type: 'c', major: 10, minor: 237, access: 'r' } as const
    handle.update({ devices: [loop] })
    expect(await opens('/dev/loop-control')).toBe(0)
    expect(await opens('/dev/null')).toBe(0)
    handle.update({ devices: [loop, { ...loop, allow: false }] })
    expect(await opens('/dev/loop-control')).not.toBe(0)
    handle.update({ devices: [{ allow: true, type: 'a', access: 'rwm' }] })
    expect(await opens('/dev/loop-control')).toBe(0)
  })

  it('create() passes the controllers of the tree on to our directory', () => {
    driver.create('shop/db', {})
    const words = (file: string): string[] => readFileSync(file, 'latin1').trim().split(/\s+/)
    const wanted = ['cpu', 'memory', 'pids', 'io', 'cpuset', 'hugetlb']
    const available = words(`${mountpoint}/cgroup.controllers`).filter((name) =>
      wanted.includes(name),
    )
    expect(words(`${base}/shop/cgroup.subtree_control`).sort()).toEqual(available.sort())
  })

  it('freeze() stops a busy loop, stats() shows it, killAll() ends it frozen', async () => {
    const handle = driver.create('shop/db', {})
    const child = run(handle, 'while :; do :; done')
    await eventually('work', () => handle.stats().cpu.totalNanos > 1e7)
    handle.freeze()
    expect(handle.isFrozen()).toBe(true)
    const before = handle.stats().cpu.totalNanos
    handle.thaw()
    expect(handle.isFrozen()).toBe(false)
    await eventually('work again', () => handle.stats().cpu.totalNanos > before)
    handle.freeze()
    handle.killAll()
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
  })

  it('killAll() ends a tree that forks all the time, nested cgroups included', async () => {
    const handle = driver.create('shop/bomb', {})
    const nested = `${handle.cloneDirectory}/nested`
    mkdirSync(nested)
    const child = run(
      handle,
      `(echo 0 > ${nested}/cgroup.procs; exec sleep 100) & f() { while :; do sleep 0.01 & wait; done; }; f & f & f`,
    )
    await eventually('many processes', () => handle.processes().length >= 4)
    handle.killAll()
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
    await eventually('removal', () => handle.remove())
    expect(() => handle.stats()).toThrow(/there is no such cgroup/)
  })
})
