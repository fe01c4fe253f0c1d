/** ResourceLimits as writes into the files of cgroup v2 (kernel: admin-guide/cgroup-v2.rst). */
import type { CgroupWarning } from './cgroup.ts'
import { blockDeviceNumber, cpuBandwidth, memoryAndSwap, type LimitWrite } from './limit-write.ts'
import type { BlkioLimits, ResourceLimits } from './resource-limits.ts'

/**
 * CPU weight (1 to 10000, default 100) for shares (2 to 262144, default 1024), so that the default becomes the default
 * and both ends meet: the curve that runc and crun agreed on in 2025 (opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value).
 */
export function sharesToWeight(shares: number): number {
  if (shares <= 2) return 1
  if (shares >= 262_144) return 10_000
  const exponent = Math.log2(shares)
  const power = (exponent * exponent + 125 * exponent) / 612 - 7 / 34
  // Rounded before ceil(), or 1024 becomes 101.
  return Math.ceil(Number((10 ** power).toFixed(9)))
}

/** io.weight (1 to 10000) for Docker's blkio weight (10 to 1000), linear, as the OCI runtimes have it. */
export function blkioToIoWeight(weight: number): number {
  const bounded = Math.min(Math.max(weight, 10), 1000)
  return Math.floor(1 + ((bounded - 10) * 9999) / 990)
}

/** A value that may be absent (0 in Docker's API) or unlimited (-1). undefined: nothing to write. */
function orMax(value: number | undefined, update: boolean): string | undefined {
  if (value === undefined || value === 0) return update ? 'max' : undefined
  return value < 0 ? 'max' : String(value)
}

/** Swap alone, out of memory plus swap. */
function swapOnly(limits: ResourceLimits): number | undefined {
  const both = memoryAndSwap(limits)
  if (both === undefined || both < 0) return both
  return both - Math.max(0, limits.memoryBytes ?? 0)
}

function swapValue(limits: ResourceLimits, update: boolean): string | undefined {
  const swap = swapOnly(limits)
  // Here 0 is a limit: as much swap as memory means none.
  return swap === 0 ? '0' : orMax(swap, update)
}

function cpuMax(limits: ResourceLimits, update: boolean): string | undefined {
  const bandwidth = cpuBandwidth(limits)
  if (bandwidth === undefined) return update ? 'max 100000' : undefined
  return `${bandwidth.quota < 0 ? 'max' : bandwidth.quota} ${bandwidth.period}`
}

const RATES = ['readBps', 'writeBps', 'readIops', 'writeIops'] as const
const IO_KEYS = {
  readBps: 'rbps',
  writeBps: 'wbps',
  readIops: 'riops',
  writeIops: 'wiops',
} as const

/** Lines for io.max, one for each device, sorted by device. */
export function ioMaxLines(blkio: BlkioLimits): string[] {
  const byDevice = new Map<string, string[]>()
  for (const kind of RATES) {
    for (const rate of blkio[kind] ?? []) {
      const device = blockDeviceNumber(rate)
      const value = rate.rate === 0 ? 'max' : rate.rate
      byDevice.set(device, [...(byDevice.get(device) ?? []), `${IO_KEYS[kind]}=${value}`])
    }
  }
  return [...byDevice].sort().map(([device, limits]) => `${device} ${limits.join(' ')}`)
}

function ioWrites(blkio: BlkioLimits, update: boolean): LimitWrite[] {
  const toWrite = (limit: string, prefix: string, weight: number): LimitWrite => ({
    limit,
    controller: 'io',
    // BFQ's own file has Docker's scale.
    files: ['io.bfq.weight', 'io.weight'],
    value: `${prefix}${weight}`,
    valueFor: { 'io.weight': `${prefix}${blkioToIoWeight(weight)}` },
  })
  const weight = blkio.weight ?? 0
  const reset = { ...toWrite('blkio.weight', 'default ', 100), valueFor: {}, quiet: true }
  const weights = (blkio.weightDevice ?? []).map((device) =>
    toWrite('blkio.weightDevice', `${blockDeviceNumber(device)} `, device.weight),
  )
  const rates = ioMaxLines(blkio).map((value) => ({
    limit: 'blkio',
    controller: 'io',
    files: ['io.max'],
    value,
  }))
  if (weight > 0) return [toWrite('blkio.weight', 'default ', weight), ...weights, ...rates]
  return [...(update ? [reset] : []), ...weights, ...rates]
}

/**
 * The writes for a set of limits.
 * @param update also writes what is not limited any more
 */
export function limitWritesV2(limits: ResourceLimits, update = false): readonly LimitWrite[] {
  const shares = limits.cpuShares ?? 0
  const weight = shares > 0 ? String(sharesToWeight(shares)) : update ? '100' : undefined
  const low = limits.memoryReservationBytes ?? 0
  const cpuLimit = (limits.cpuNanos ?? 0) > 0 ? 'cpuNanos' : 'cpuQuotaMicros'
  const cpus = limits.cpusetCpus ?? ''
  const mems = limits.cpusetMems ?? ''
  const asked = (value: unknown): boolean => value !== undefined && value !== 0 && value !== ''
  const rows: readonly (readonly [string, string, string, string | undefined, boolean])[] = [
    [
      'memoryBytes',
      'memory',
      'memory.max',
      orMax(limits.memoryBytes, update),
      asked(limits.memoryBytes),
    ],
    [
      'memorySwapBytes',
      'memory',
      'memory.swap.max',
      swapValue(limits, update),
      asked(limits.memorySwapBytes),
    ],
    [
      'memoryReservationBytes',
      'memory',
      'memory.low',
      low > 0 ? String(low) : update ? '0' : undefined,
      low > 0,
    ],
    ['cpuShares', 'cpu', 'cpu.weight', weight, shares > 0],
    [cpuLimit, 'cpu', 'cpu.max', cpuMax(limits, update), cpuBandwidth(limits) !== undefined],
    [
      'cpusetCpus',
      'cpuset',
      'cpuset.cpus',
      cpus !== '' ? cpus : update ? '\n' : undefined,
      cpus !== '',
    ],
    [
      'cpusetMems',
      'cpuset',
      'cpuset.mems',
      mems !== '' ? mems : update ? '\n' : undefined,
      mems !== '',
    ],
    ['pids', 'pids', 'pids.max', orMax(limits.pids, update), asked(limits.pids)],
    ...Object.entries(limits.hugetlb ?? {}).map(
      ([size, bytes]) =>
        ['hugetlb', 'hugetlb', `hugetlb.${size}.max`, String(bytes), true] as const,
    ),
  ]
  const writes = rows.flatMap(([limit, controller, file, value, loud]) =>
    value === undefined ? [] : [{ limit, controller, files: [file], value, quiet: !loud }],
  )
  return [...writes, ...ioWrites(limits.blkio ?? {}, update)]
}

/** Limits that v2 has no file for. */
export function unsupportedV2(limits: ResourceLimits): CgroupWarning[] {
  const without = (limit: string): CgroupWarning => ({
    limit,
    reason: 'cgroup v2 has no such limit',
  })
  const warnings: CgroupWarning[] = []
  if (limits.memorySwappiness !== undefined) warnings.push(without('memorySwappiness'))
  if (limits.oomKillDisable === true) warnings.push(without('oomKillDisable'))
  if ((limits.cpuRtPeriodMicros ?? 0) !== 0) warnings.push(without('cpuRtPeriodMicros'))
  if ((limits.cpuRtRuntimeMicros ?? 0) !== 0) warnings.push(without('cpuRtRuntimeMicros'))
  return warnings
}
