import { describe, expect, it } from 'vitest'
import {
  DEFAULT_DEVICES,
  formatDeviceRule,
  resolveDeviceRules,
} from '../../src/engine/cgroup/device-rules.ts'
import {
  ownDirectory,
  parseCgroupMounts,
  parseOwnCgroups,
} from '../../src/engine/cgroup/hierarchy.ts'
import { blockDeviceNumber, type LimitWrite } from '../../src/engine/cgroup/limit-write.ts'
import { limitWritesV1 } from '../../src/engine/cgroup/limits-v1.ts'
import {
  blkioToIoWeight,
  limitWritesV2,
  sharesToWeight,
  unsupportedV2,
} from '../../src/engine/cgroup/limits-v2.ts'
import { parseProcesses } from '../../src/engine/cgroup/cgroup-file.ts'
import { parseBlkio } from '../../src/engine/cgroup/stats-v1.ts'
import { parseIoStat } from '../../src/engine/cgroup/stats-v2.ts'

/** `file=value`, a `?` in front of those that may fail silently. */
function lines(writes: readonly LimitWrite[]): string[] {
  return writes.map(
    (write) => `${write.quiet === true ? '?' : ''}${write.files.join('|')}=${write.value}`,
  )
}

const HYBRID = `30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
35 30 0:31 / /mnt/again rw,relatime - cgroup cgroup rw,memory
39 30 0:36 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
40 30 0:37 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw
`

describe('parseCgroupMounts()', () => {
  it('finds joint controllers, takes the first mount of each and leaves out named hierarchies', () => {
    expect(parseCgroupMounts(HYBRID)).toEqual([
      {
        version: 1,
        controllers: ['cpu', 'cpuacct'],
        mountpoint: '/sys/fs/cgroup/cpu,cpuacct',
        root: '/',
      },
      { version: 1, controllers: ['memory'], mountpoint: '/sys/fs/cgroup/memory', root: '/' },
      { version: 2, controllers: [], mountpoint: '/sys/fs/cgroup/uni fied', root: '/' },
    ])
  })

  it('takes rubbish for nothing', () => {
    expect(parseCgroupMounts('\n - \nx - cgroup\n')).toEqual([])
  })
})

describe('ownDirectory()', () => {
  const paths = parseOwnCgroups('4:memory:/docker/abc\n3:cpu,cpuacct:/\n0::/../outside\n')
  const mount = { version: 1, controllers: ['memory'], mountpoint: '/m', root: '/' } as const

  it('is the own path below the mountpoint', () => {
    expect(ownDirectory(mount, paths)).toBe('/m/docker/abc')
    expect(ownDirectory({ ...mount, controllers: ['cpuacct'] }, paths)).toBe('/m')
  })

  it('leaves out what the mount leaves out', () => {
    expect(ownDirectory({ ...mount, root: '/docker' }, paths)).toBe('/m/abc')
    expect(ownDirectory({ ...mount, root: '/docker/abc' }, paths)).toBe('/m')
    expect(ownDirectory({ ...mount, root: '/other' }, paths)).toBe('/m')
  })

  it('never climbs out of the mount', () => {
    expect(ownDirectory({ ...mount, version: 2, controllers: [] }, paths)).toBe('/m')
  })
})

describe('limitWritesV1()', () => {
  it('writes nothing for no limits, and 0 is none', () => {
    expect(limitWritesV1({})).toEqual([])
    expect(limitWritesV1({ memoryBytes: 0, memorySwapBytes: 0, cpuShares: 0, pids: 0 })).toEqual([])
  })

  it('writes memory before memory and swap, period before quota', () => {
    const writes = limitWritesV1({
      memoryBytes: 1000,
      memorySwapBytes: 3000,
      cpuNanos: 1.5e9,
      cpuShares: 1,
      pids: 9,
    })
    expect(lines(writes)).toEqual([
      'memory.limit_in_bytes=1000',
      'memory.memsw.limit_in_bytes=3000',
      'cpu.shares=2',
      'cpu.cfs_period_us=100000',
      'cpu.cfs_quota_us=150000',
      'pids.max=9',
    ])
  })

  it('allows as much swap as memory where none is asked for, without complaint', () => {
    expect(lines(limitWritesV1({ memoryBytes: 1000 }))).toEqual([
      'memory.limit_in_bytes=1000',
      '?memory.memsw.limit_in_bytes=2000',
    ])
  })

  it('lifts in an update what is absent', () => {
    expect(lines(limitWritesV1({ pids: 5 }, true))).toEqual([
      '?memory.limit_in_bytes=-1',
      '?memory.memsw.limit_in_bytes=-1',
      '?memory.soft_limit_in_bytes=-1',
      '?memory.oom_control=0',
      '?cpu.shares=1024',
      '?cpu.cfs_period_us=100000',
      '?cpu.cfs_quota_us=-1',
      'pids.max=5',
      '?blkio.bfq.weight|blkio.weight=100',
    ])
  })

  it('names devices by number', () => {
    const device = { major: 8, minor: 16 }
    const writes = limitWritesV1({
      blkio: {
        weight: 300,
        weightDevice: [{ ...device, weight: 500 }],
        writeIops: [{ ...device, rate: 7 }],
      },
    })
    expect(lines(writes)).toEqual([
      'blkio.bfq.weight|blkio.weight=300',
      'blkio.bfq.weight_device|blkio.weight_device=8:16 500',
      'blkio.throttle.write_iops_device=8:16 7',
    ])
  })
})

describe('limitWritesV2()', () => {
  it('splits swap from memory and joins quota and period', () => {
    const writes = limitWritesV2({
      memoryBytes: 1000,
      memorySwapBytes: 3000,
      memoryReservationBytes: 500,
      cpuNanos: 5e8,
      pids: -1,
    })
    expect(lines(writes)).toEqual([
      'memory.max=1000',
      'memory.swap.max=2000',
      'memory.low=500',
      'cpu.max=50000 100000',
      'pids.max=max',
    ])
  })

  it('forbids swap when memory and swap are the same', () => {
    expect(lines(limitWritesV2({ memoryBytes: 1000, memorySwapBytes: 1000 }))).toContain(
      'memory.swap.max=0',
    )
  })

  it('has no limit for -1', () => {
    expect(
      lines(
        limitWritesV2({
          memoryBytes: 9,
          memorySwapBytes: -1,
          cpuQuotaMicros: -1,
          cpuPeriodMicros: 5000,
        }),
      ),
    ).toEqual(['memory.max=9', 'memory.swap.max=max', 'cpu.max=max 5000'])
  })

  it('merges the rates of a device into one line', () => {
    const writes = limitWritesV2({
      blkio: {
        weight: 500,
        readBps: [{ major: 8, minor: 0, rate: 10 }],
        writeIops: [
          { major: 8, minor: 0, rate: 20 },
          { major: 9, minor: 0, rate: 0 },
        ],
      },
    })
    expect(lines(writes)).toEqual([
      'io.bfq.weight|io.weight=default 500',
      'io.max=8:0 rbps=10 wiops=20',
      'io.max=9:0 wiops=max',
    ])
    expect(writes[0]?.valueFor).toEqual({ 'io.weight': 'default 4950' })
  })

  it('lifts in an update what is absent', () => {
    expect(lines(limitWritesV2({}, true))).toEqual([
      '?memory.max=max',
      '?memory.swap.max=max',
      '?memory.low=0',
      '?cpu.weight=100',
      '?cpu.max=max 100000',
      '?cpuset.cpus=\n',
      '?cpuset.mems=\n',
      '?pids.max=max',
      '?io.bfq.weight|io.weight=default 100',
    ])
  })
})

describe('sharesToWeight()', () => {
  it('maps default to default, both ends to the ends, and grows all the way', () => {
    expect([1, 2, 512, 1024, 2048, 262_144, 1e9].map(sharesToWeight)).toEqual([
      1, 1, 59, 100, 174, 10_000, 10_000,
    ])
    const all = Array.from({ length: 2000 }, (_, index) => sharesToWeight(2 + index * 131))
    expect(all).toEqual([...all].sort((a, b) => a - b))
  })
})

describe('blkioToIoWeight()', () => {
  it('maps the ends to the ends', () => {
    expect([0, 10, 1000, 5000].map(blkioToIoWeight)).toEqual([1, 1, 10_000, 10_000])
  })
})

describe('unsupportedV2()', () => {
  it('names what v2 has no file for', () => {
    const limits = { memorySwappiness: 0, oomKillDisable: true, cpuRtRuntimeMicros: 5 }
    expect(unsupportedV2(limits).map((warning) => warning.limit)).toEqual([
      ...['memorySwappiness', 'oomKillDisable', 'cpuRtRuntimeMicros'],
    ])
  })
})

describe('resolveDeviceRules()', () => {
  it('puts own rules after the default ones, and a rule for all in their place', () => {
    const kvm = { allow: true, type: 'c', major: 10, minor: 232, access: 'rw' } as const
    const all = { allow: true, type: 'a', access: 'rwm' } as const
    expect(resolveDeviceRules([kvm])).toEqual([...DEFAULT_DEVICES, kvm])
    expect(resolveDeviceRules([all, kvm])).toEqual([all, kvm])
    expect(
      [kvm, all, DEFAULT_DEVICES[0], DEFAULT_DEVICES.at(-1)].map(
        (rule) => rule && formatDeviceRule(rule),
      ),
    ).toEqual([...['c 10:232 rw', 'a', 'c *:* m', 'c 136:* rwm']])
  })
})

describe('blockDeviceNumber()', () => {
  it('refuses what is no block device', () => {
    expect(blockDeviceNumber({ major: 254, minor: 300 })).toBe('254:300')
    expect(() => blockDeviceNumber({ path: '/dev/null' })).toThrow('it is not a block device')
    expect(() => blockDeviceNumber({ path: '/nonexistent' })).toThrow('there is no such file')
  })
})

describe('parsers of counters', () => {
  it('parseBlkio() sums reads and writes over devices and leaves out totals', () => {
    const text = '8:0 Read 5\n8:0 Write 6\n8:0 Sync 11\n8:16 Read 1\n8:0 Total 11\nTotal 12\n'
    expect(parseBlkio(text)).toEqual({ read: 6, write: 6 })
    expect(parseBlkio('')).toEqual({ read: 0, write: 0 })
  })

  it('parseIoStat() sums over devices', () => {
    const text =
      '8:0 rbytes=5 wbytes=6 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=1 rios=1 wios=1\n'
    expect(parseIoStat(text)).toEqual({
      readBytes: 6,
      writeBytes: 7,
      readOperations: 2,
      writeOperations: 3,
    })
  })

  it('parseProcesses() leaves out 0, which kill() would take for ourselves', () => {
    expect(parseProcesses('0\n12\n\n7\n')).toEqual([12, 7])
  })
})
