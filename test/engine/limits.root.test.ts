/** The limits of a Compose file as its container finds them: in its own control group, and where they bite. */
import fs from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { Service } from '../../src/spec/stack.ts'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'

const STACK = 'limits'
const MIB = 1 << 20
const IDLE: Service = {
  image: 'host:sh,coreutils,nproc,node',
  command: ['sleep', '1000'],
  network_mode: 'none',
  stop_grace_period: '0s',
}
const IS_V1 = fs.existsSync('/sys/fs/cgroup/memory')
/** Any block device: nothing is written to it. */
const DISK = ['/dev/vda', '/dev/sda', '/dev/loop0'].find((path) => fs.existsSync(path)) ?? ''
let daemon: DaemonFixture

beforeAll(async () => {
  daemon = await startDaemonFixture()
})
afterAll(async () => {
  await daemon.close()
})
afterEach(async () => {
  await daemon.down(STACK)
})

async function start(service: Service): Promise<string> {
  await daemon.up(STACK, { services: { s: { ...IDLE, ...service } } })
  return (await daemon.container(STACK, 's')).id
}

/** Files of the control group by name, read by the container itself; those that the kernel has not are left out. */
async function read(id: string, names: readonly string[]): Promise<Record<string, string>> {
  const script = `cd /sys/fs/cgroup; for f; do test -e $f && echo "$f=$(cat $f | tr '\\n' ' ')"; done; :`
  const { stdout } = await daemon.exec(id, ['sh', '-c', script, 'sh', ...names])
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])
      .map(([name, value]) => [name, value.trim()]),
  )
}

/** Each of the wanted files that there is has to be so; and so many there have to be. */
async function expectFiles(
  id: string,
  wanted: Readonly<Record<string, string | RegExp>>,
  atLeast: number,
): Promise<void> {
  const found = await read(id, Object.keys(wanted))
  expect(Object.keys(found).length).toBeGreaterThanOrEqual(atLeast)
  for (const [name, value] of Object.entries(found)) {
    const expected = wanted[name] ?? ''
    expect([name, value]).toEqual([
      name,
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    ])
  }
}

const V1 = {
  'memory/memory.limit_in_bytes': String(192 * MIB),
  'memory/memory.memsw.limit_in_bytes': String(256 * MIB),
  'memory/memory.soft_limit_in_bytes': String(64 * MIB),
  'memory/memory.swappiness': '10',
  'memory/memory.oom_control': /^oom_kill_disable 1 /,
  'cpu/cpu.shares': '512',
  'cpu/cpu.cfs_period_us': '50000',
  'cpu/cpu.cfs_quota_us': '25000',
  'cpuset/cpuset.cpus': '0',
  'pids/pids.max': '40',
  'blkio/blkio.throttle.read_bps_device': /^\d+:\d+ 1048576$/,
  'blkio/blkio.throttle.write_bps_device': /^\d+:\d+ 2097152$/,
  'blkio/blkio.throttle.read_iops_device': /^\d+:\d+ 100$/,
  'blkio/blkio.throttle.write_iops_device': /^\d+:\d+ 200$/,
}
const V2 = {
  'memory.max': String(192 * MIB),
  'memory.swap.max': String(64 * MIB),
  'memory.low': String(64 * MIB),
  'cpu.weight': /^\d+$/,
  'cpu.max': '25000 50000',
  'cpuset.cpus': '0',
  'pids.max': '40',
  'io.max': /^\d+:\d+ rbps=1048576 wbps=2097152 riops=100 wiops=200$/,
}

test('keys of the service: memory, CPU, processes, block I/O', async () => {
  const id = await start({
    mem_limit: '192m',
    memswap_limit: '256m',
    mem_reservation: '64m',
    mem_swappiness: 10,
    oom_kill_disable: true,
    cpu_shares: 512,
    cpu_period: 50_000,
    cpu_quota: 25_000,
    cpuset: '0',
    pids_limit: 40,
    blkio_config: {
      device_read_bps: [{ path: DISK, rate: '1mb' }],
      device_write_bps: [{ path: DISK, rate: '2mb' }],
      device_read_iops: [{ path: DISK, rate: 100 }],
      device_write_iops: [{ path: DISK, rate: 200 }],
    },
  })
  await expectFiles(id, IS_V1 ? V1 : V2, IS_V1 ? 10 : 6)
  expect(await daemon.sh(id, 'nproc')).toBe('1')
})

test('deploy.resources: limits and reservations, and they bite', async () => {
  const id = await start({
    deploy: {
      resources: {
        limits: { cpus: '0.5', memory: '96M', pids: 30 },
        reservations: { memory: '32M' },
      },
    },
  })
  const v1 = {
    'memory/memory.limit_in_bytes': String(96 * MIB),
    'memory/memory.soft_limit_in_bytes': String(32 * MIB),
    'cpu/cpu.cfs_quota_us': '50000',
    'pids/pids.max': '30',
  }
  const v2 = {
    'memory.max': String(96 * MIB),
    'memory.low': String(32 * MIB),
    'cpu.max': '50000 100000',
    'pids.max': '30',
  }
  await expectFiles(id, IS_V1 ? v1 : v2, 4)
  const greedy = `const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1))`
  expect((await daemon.exec(id, ['node', '--v8-pool-size=0', '-e', greedy])).exitCode).toBe(137)
  expect((await daemon.container(STACK, 's')).state).toBe('running')
  const forks = 'for i in $(seq 60); do sleep 1000 & done; wait'
  expect((await daemon.exec(id, ['sh', '-c', forks])).stderr).toMatch(/fork/i)
  await expect(daemon.exec(id, ['true'])).rejects.toThrow('as many processes as the limit allows')
})
