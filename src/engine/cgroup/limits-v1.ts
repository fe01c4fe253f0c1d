/** ResourceLimits as writes into the files of cgroup v1 (kernel: admin-guide/cgroup-v1/). Device rules: device-rules.ts. */
import { blockDeviceNumber, cpuBandwidth, memoryAndSwap, type LimitWrite } from './limit-write.ts'
import type { DeviceRate, ResourceLimits } from './resource-limits.ts'

type Draft = readonly [
  limit: string,
  file: string | readonly string[],
  value: number | undefined,
  unlimited?: number | string,
]

const RATES = [
  ['blkio.readBps', 'read_bps'],
  ['blkio.writeBps', 'write_bps'],
  ['blkio.readIops', 'read_iops'],
  ['blkio.writeIops', 'write_iops'],
] as const
/** The throttle files, whose entries an update must also take away. */
export const THROTTLE_FILES = RATES.map(([, name]) => `blkio.throttle.${name}_device`)

/** 0 means not set in Docker's API. */
function given(value: number | undefined): number | undefined {
  return value === 0 ? undefined : value
}

function memory(limits: ResourceLimits): Draft[] {
  return [
    ['memoryBytes', 'memory.limit_in_bytes', given(limits.memoryBytes), -1],
    ['memorySwapBytes', 'memory.memsw.limit_in_bytes', memoryAndSwap(limits), -1],
    [
      'memoryReservationBytes',
      'memory.soft_limit_in_bytes',
      given(limits.memoryReservationBytes),
      -1,
    ],
    ['memorySwappiness', 'memory.swappiness', limits.memorySwappiness],
    ['oomKillDisable', 'memory.oom_control', limits.oomKillDisable === true ? 1 : undefined, 0],
  ]
}

function cpu(limits: ResourceLimits): Draft[] {
  const bandwidth = cpuBandwidth(limits)
  const shares = given(limits.cpuShares)
  return [
    [
      'cpuShares',
      'cpu.shares',
      shares === undefined ? undefined : Math.min(Math.max(shares, 2), 262_144),
      1024,
    ],
    ['cpuPeriodMicros', 'cpu.cfs_period_us', bandwidth?.period, 100_000],
    [
      (limits.cpuNanos ?? 0) > 0 ? 'cpuNanos' : 'cpuQuotaMicros',
      'cpu.cfs_quota_us',
      bandwidth?.quota,
      -1,
    ],
    ['cpuRtPeriodMicros', 'cpu.rt_period_us', given(limits.cpuRtPeriodMicros)],
    ['cpuRtRuntimeMicros', 'cpu.rt_runtime_us', given(limits.cpuRtRuntimeMicros)],
  ]
}

function toWrites(controller: string, drafts: readonly Draft[], update: boolean): LimitWrite[] {
  return drafts.flatMap(([limit, file, value, unlimited]) => {
    const files = typeof file === 'string' ? [file] : file
    if (value !== undefined) return [{ limit, controller, files, value: String(value) }]
    if (!update || unlimited === undefined) return []
    return [{ limit, controller, files, value: String(unlimited), quiet: true }]
  })
}

function throttles(limits: ResourceLimits): LimitWrite[] {
  const rates: Record<string, readonly DeviceRate[] | undefined> = {
    'blkio.readBps': limits.blkio?.readBps,
    'blkio.writeBps': limits.blkio?.writeBps,
    'blkio.readIops': limits.blkio?.readIops,
    'blkio.writeIops': limits.blkio?.writeIops,
  }
  return RATES.flatMap(([limit, name]) =>
    (rates[limit] ?? []).map((rate) => ({
      limit,
      controller: 'blkio',
      files: [`blkio.throttle.${name}_device`],
      value: `${blockDeviceNumber(rate)} ${rate.rate}`,
    })),
  )
}

function blkio(limits: ResourceLimits, update: boolean): LimitWrite[] {
  const weight: Draft = [
    'blkio.weight',
    ['blkio.bfq.weight', 'blkio.weight'],
    given(limits.blkio?.weight),
    100,
  ]
  const weights = (limits.blkio?.weightDevice ?? []).map((device) => ({
    limit: 'blkio.weightDevice',
    controller: 'blkio',
    files: ['blkio.bfq.weight_device', 'blkio.weight_device'],
    value: `${blockDeviceNumber(device)} ${device.weight}`,
  }))
  return [...toWrites('blkio', [weight], update), ...weights, ...throttles(limits)]
}

/**
 * The writes for a set of limits, in an order that the kernel takes on a new cgroup: memory before memory plus swap,
 * period before quota.
 * @param update also writes what is not limited any more
 */
export function limitWritesV1(limits: ResourceLimits, update = false): readonly LimitWrite[] {
  const pids: Draft = [
    'pids',
    'pids.max',
    limits.pids !== undefined && limits.pids > 0 ? limits.pids : undefined,
    'max',
  ]
  const hugetlb = Object.entries(limits.hugetlb ?? {}).map(([size, bytes]) => ({
    limit: 'hugetlb',
    controller: 'hugetlb',
    files: [`hugetlb.${size}.limit_in_bytes`],
    value: String(bytes),
  }))
  const swapAsked = (limits.memorySwapBytes ?? 0) !== 0
  const memoryWrites = toWrites('memory', memory(limits), update).map((write) =>
    write.limit === 'memorySwapBytes' && !swapAsked ? { ...write, quiet: true } : write,
  )
  return [
    ...memoryWrites,
    ...toWrites('cpu', cpu(limits), update),
    ...toWrites('pids', [pids], update),
    ...blkio(limits, update),
    ...hugetlb,
  ]
}
