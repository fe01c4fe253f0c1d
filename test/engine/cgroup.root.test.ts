import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { CgroupDriver, CgroupHandle } from '../../src/engine/cgroup/cgroup.ts'
import { openCgroupDriver } from '../../src/engine/cgroup/open-cgroup-driver.ts'

const MIB = 1 << 20
/** Any disk of this machine that can be opened. */
const BLOCK_DEVICE =
  readdirSync('/sys/block')
    .map((name) => `/dev/${name}`)
    .find(canBeOpened) ?? '/dev/loop0'

function canBeOpened(file: string): boolean {
  try {
    closeSync(openSync(file, 'r'))
    return true
  } catch {
    return false
  }
}

const parent = `tsstack-test-${process.pid}`
const { version } = openCgroupDriver(parent)
const deadlineMs = 20_000

let driver: CgroupDriver
let children: ChildProcess[] = []

/** Starts a shell script whose first act is to enter the cgroup, as a container's first process does. */
function run(handle: CgroupHandle, script: string): ChildProcess {
  const join = handle.joinFiles.map((file) => `echo 0 > ${file}`).join(' && ')
  const child = spawn('/bin/sh', ['-c', `${join} && { ${script}\n}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  children.push(child)
  return child
}

async function exitOf(child: ChildProcess): Promise<number | string> {
  if (child.exitCode !== null || child.signalCode !== null)
    return child.exitCode ?? child.signalCode ?? ''
  return new Promise((resolve) =>
    child.once('exit', (code, signal) => {
      resolve(code ?? signal ?? '')
    }),
  )
}

async function eventually(what: string, done: () => boolean): Promise<void> {
  const deadline = Date.now() + deadlineMs
  while (!done()) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Our directories in all hierarchies. */
function leftovers(): string[] {
  return readdirSync('/sys/fs/cgroup')
    .map((hierarchy) => `/sys/fs/cgroup/${hierarchy}/${parent}`)
    .filter((path) => existsSync(path))
}

async function removeAll(): Promise<void> {
  for (const name of driver.list()) {
    const handle = driver.open(name)
    handle.killAll()
    await eventually(`removal of ${name}`, () => handle.remove())
  }
}

beforeEach(() => {
  driver = openCgroupDriver(parent)
})

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  await removeAll()
  expect(leftovers()).toEqual([])
})

describe('create()', () => {
  it('makes directories that hold the limits and a process that enters', async () => {
    const handle = driver.create('shop/db', { memoryBytes: 64 * MIB, pids: 20, cpuNanos: 5e8 })
    const child = run(handle, 'exec sleep 100')
    await eventually('the child in the cgroup', () => handle.processes().length === 1)
    await eventually('the child is sleep', () =>
      readFileSync(`/proc/${child.pid}/comm`, 'latin1').startsWith('sleep'),
    )
    expect(handle.processes()).toEqual([child.pid])
    expect(handle.stats()).toMatchObject({
      memory: { limitBytes: 64 * MIB },
      pids: { current: 1, limit: 20 },
    })
    expect(handle.warnings).toEqual([])
    expect(driver.list()).toEqual(['shop/db'])
  })

  it('is idempotent and then sets the new limits', () => {
    driver.create('shop/db', { memoryBytes: 64 * MIB })
    const again = driver.create('shop/db', { memoryBytes: 32 * MIB })
    expect(again.stats().memory.limitBytes).toBe(32 * MIB)
  })

  it('names the limit that the kernel refuses and leaves nothing', () => {
    expect(() => driver.create('shop/db', { cpusetCpus: '9999' })).toThrow(
      /Cannot set cpusetCpus to "9999"/,
    )
    expect(leftovers()).toEqual([])
  })

  it('refuses names that leave its directory', () => {
    for (const name of [
      '../x',
      'a',
      'a/../b',
      '/a/b',
      'a/b/c/d/e',
      `a/${'b'.repeat(200)}`,
      'a/ b',
    ]) {
      expect(() => driver.create(name, {})).toThrow(/Cannot name a cgroup/)
    }
  })

  it('costs a few times what making the bare directories does', () => {
    // On v2 a limit is a file more, and one directory is less to compare with.
    const most = version === 1 ? 8 : 60
    const limits = { memoryBytes: 256 * MIB, pids: 100, cpuNanos: 1e9 }
    const directories = driver.create('bench/first', limits).joinFiles.map((file) => dirname(file))
    const timed = (work: () => void): number => {
      const start = performance.now()
      work()
      return performance.now() - start
    }
    const rounds = Array.from({ length: 50 }, (_, index) => ({
      create: timed(() => driver.create(`bench/c${index}`, limits)),
      // below the first one, so that they go with it
      bare: timed(() => {
        for (const directory of directories) mkdirSync(join(directory, `bare${index}`))
      }),
    }))
    const median = (of: 'create' | 'bare'): number =>
      rounds.map((round) => round[of]).sort((a, b) => a - b)[25] ?? Infinity
    expect(median('create') / median('bare')).toBeLessThan(most)
  })
})

describe('limits', () => {
  it('memoryBytes ends a process that takes more, and counts it', async () => {
    const handle = driver.create('shop/db', { memoryBytes: 16 * MIB })
    // tail keeps its input's last line in memory, and there is no line end.
    const child = run(handle, 'head -c 100000000 /dev/zero | tail > /dev/null; exit 7')
    expect(await exitOf(child)).toBe(7)
    expect(handle.oomKills()).toBe(1)
    expect(handle.stats().memory.oomKills).toBe(1)
    expect(handle.stats().memory.maxUsageBytes).toBeGreaterThan(8 * MIB)
  })

  it('pids stops forks', async () => {
    const handle = driver.create('shop/db', { pids: 5 })
    const child = run(handle, 'for i in 1 2 3 4 5 6 7 8; do sleep 50 & done; wait')
    // dash gives up with status 2 when fork fails.
    expect(await exitOf(child)).toBe(2)
    expect(handle.stats().pids).toEqual({ current: 4, limit: 5 })
  })

  it('cpuNanos throttles', async () => {
    const handle = driver.create('shop/db', { cpuNanos: 1e8 })
    run(handle, 'while :; do :; done')
    await eventually('throttling', () => handle.stats().cpu.throttledPeriods >= 3)
    // What it took too much of in one period, where ticks come late, is taken off the next ones.
    await eventually('a tenth of the time, or not much more', () => {
      const { cpu } = handle.stats()
      return cpu.totalNanos > 0 && cpu.totalNanos < (cpu.periods + 2) * 3e7
    })
    expect(handle.stats().cpu.throttledNanos).toBeGreaterThan(0)
  })

  it('devices lets open the default ones only', async () => {
    const script = `
      cat /dev/null && head -c 1 /dev/zero > /dev/null && head -c 1 /dev/urandom > /dev/null || exit 3
      if head -c 1 ${BLOCK_DEVICE} > /dev/null; then exit 4; fi; exit 0`
    expect(await exitOf(run(driver.create('shop/db', {}), script))).toBe(0)
    const all = driver.create('shop/privileged', {
      devices: [{ allow: true, type: 'a', access: 'rwm' }],
    })
    expect(await exitOf(run(all, script))).toBe(4)
  })

  it('cpusetCpus confines to a CPU', async () => {
    const handle = driver.create('shop/db', { cpusetCpus: '0' })
    const child = run(handle, 'grep Cpus_allowed_list /proc/self/status')
    expect(await text(child.stdout as Readable)).toMatch(/:\s0$/m)
  })

  it('blkio rates are written by device number, and another file is refused', () => {
    const handle = driver.create('shop/db', {
      blkio: { readBps: [{ path: BLOCK_DEVICE, rate: 1_000_000 }] },
    })
    expect(handle.warnings).toEqual([])
    const [unified = ''] = handle.joinFiles
    const blkio = handle.joinFiles.find((file) => file.includes('/blkio/')) ?? ''
    const file =
      version === 1
        ? blkio.replace(/tasks$/, 'blkio.throttle.read_bps_device')
        : unified.replace(/cgroup\.procs$/, 'io.max')
    expect(readFileSync(file, 'latin1')).toMatch(/^\d+:\d+ (?:rbps=)?1000000\b/)
    handle.update({})
    expect(readFileSync(file, 'latin1')).toBe('')
    expect(() =>
      driver.create('shop/x', { blkio: { readBps: [{ path: '/dev/null', rate: 1 }] } }),
    ).toThrow(/"\/dev\/null": it is not a block device/)
  })
})

describe('update()', () => {
  it('changes a running container and lifts what is absent', async () => {
    const handle = driver.create('shop/db', { memoryBytes: 32 * MIB, pids: 10, cpuShares: 512 })
    run(handle, 'exec sleep 100')
    await eventually('the child', () => handle.processes().length === 1)
    handle.update({ memoryBytes: 128 * MIB, memorySwapBytes: 512 * MIB, pids: 30 })
    expect(handle.stats()).toMatchObject({ memory: { limitBytes: 128 * MIB }, pids: { limit: 30 } })
    handle.update({ memoryBytes: 16 * MIB })
    expect(handle.stats().memory.limitBytes).toBe(16 * MIB)
    handle.update({})
    expect(handle.stats()).toMatchObject({
      memory: { limitBytes: undefined },
      pids: { limit: undefined },
    })
    expect(handle.processes()).toHaveLength(1)
  })

  it('puts a running container on other CPUs though it had none assigned', async () => {
    const handle = driver.create('shop/db', {})
    const child = run(handle, 'sleep 100 & exec sleep 100')
    await eventually('two processes', () => handle.processes().length === 2)
    handle.update({ cpusetCpus: '0' })
    const allowed = (): string => readFileSync(`/proc/${child.pid}/status`, 'latin1')
    expect(allowed()).toMatch(/Cpus_allowed_list:\s0\n/)
    handle.update({})
    expect(allowed()).not.toMatch(/Cpus_allowed_list:\s0\n/)
  })

  // On v2 there is no list to read: cgroup-v2.root.test.ts opens devices instead.
  if (version === 1)
    it('grants and takes a device while the default ones stay', () => {
      const handle = driver.create('shop/db', {})
      const list = (): string[] =>
        readFileSync(
          `${handle.joinFiles.find((file) => file.includes('/devices/'))?.replace(/tasks$/, 'devices.list')}`,
          'latin1',
        )
          .trim()
          .split('\n')
      const before = list()
      handle.update({ devices: [{ allow: true, type: 'c', major: 10, minor: 229, access: 'rw' }] })
      expect(list()).toEqual([...before, 'c 10:229 rw'])
      handle.update({})
      expect(list()).toEqual(before)
    })

  it('says which limit is below what is used', async () => {
    const handle = driver.create('shop/db', {})
    // tail holds all of it until the end of its input, which does not come.
    run(handle, '{ head -c 4000000 /dev/zero; sleep 100; } | tail -c 4000000')
    await eventually('memory in use', () => handle.stats().memory.anonymousBytes > 3_500_000)
    expect(() => handle.update({ memoryBytes: 1 })).toThrow(/Cannot set memoryBytes/)
  })
})

describe('freeze()', () => {
  it('stops a busy loop until thaw()', async () => {
    const handle = driver.create('shop/db', {})
    run(handle, 'while :; do :; done')
    await eventually('work', () => handle.stats().cpu.totalNanos > 1e7)
    handle.freeze()
    expect(handle.isFrozen()).toBe(true)
    const before = handle.stats().cpu.totalNanos
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(handle.stats().cpu.totalNanos).toBe(before)
    handle.thaw()
    expect(handle.isFrozen()).toBe(false)
    await eventually('work again', () => handle.stats().cpu.totalNanos > before)
  })
})

describe('killAll()', () => {
  it('ends a tree that forks all the time', async () => {
    const handle = driver.create('shop/bomb', { pids: 60 })
    const child = run(handle, 'f() { while :; do (sleep 0.01 &) ; done; }; f & f & f & f')
    await eventually('many processes', () => handle.stats().pids.current > 20)
    handle.killAll()
    expect(await exitOf(child)).toBe('SIGKILL')
    await eventually('an empty cgroup', () => handle.processes().length === 0)
    await eventually('removal', () => handle.remove())
    expect(leftovers()).toEqual([])
  })

  it('ends a frozen process', async () => {
    const handle = driver.create('shop/db', {})
    const child = run(handle, 'exec sleep 100')
    await eventually('the child', () => handle.processes().length === 1)
    handle.freeze()
    handle.killAll()
    expect(await exitOf(child)).toBe('SIGKILL')
  })
})

describe('remove()', () => {
  it('says false while there are processes, and takes nested cgroups with it', async () => {
    const handle = driver.create('shop/db', {})
    const child = run(handle, 'exec sleep 100')
    await eventually('the child', () => handle.processes().length === 1)
    expect(handle.remove()).toBe(false)
    child.kill('SIGKILL')
    await exitOf(child)
    const nested = handle.joinFiles[0]?.replace(/\/tasks$|\/cgroup.procs$/, '/nested/deep') ?? ''
    mkdirSync(nested, { recursive: true })
    await eventually('removal', () => handle.remove())
    expect(handle.remove()).toBe(true)
    expect(() => handle.stats()).toThrow(/there is no such cgroup/)
    expect(handle.processes()).toEqual([])
    expect(leftovers()).toEqual([])
  })
})
