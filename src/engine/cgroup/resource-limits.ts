/**
 * ResourceLimits: what a container may use, in numbers, whichever version of control groups the host has.
 * Absent means not limited. Compose: `deploy.resources`, `mem_limit`, `cpus`, `pids_limit`, `blkio_config`, …
 */

/** A rule of the devices controller (kernel: admin-guide/cgroup-v1/devices.rst). */
export interface DeviceRule {
  readonly allow: boolean
  /** `a` is both kinds and ignores the numbers. */
  readonly type: 'a' | 'b' | 'c'
  /** Absent: any. */
  readonly major?: number
  readonly minor?: number
  /** Some of `r`, `w`, `m` (mknod). */
  readonly access: string
}

/** A block device, by the path of its node on the host or by number. */
export type BlockDevice =
  { readonly path: string } | { readonly major: number; readonly minor: number }

/** Bytes or operations a second. */
export type DeviceRate = BlockDevice & { readonly rate: number }
/** 10 to 1000. */
export type DeviceWeight = BlockDevice & { readonly weight: number }

export interface BlkioLimits {
  /** 10 to 1000; 0 is not set. */
  readonly weight?: number
  readonly weightDevice?: readonly DeviceWeight[]
  readonly readBps?: readonly DeviceRate[]
  readonly writeBps?: readonly DeviceRate[]
  readonly readIops?: readonly DeviceRate[]
  readonly writeIops?: readonly DeviceRate[]
}

export interface ResourceLimits {
  /** Hard limit; 0 is not set, -1 unlimited. */
  readonly memoryBytes?: number
  /** What the kernel tries to leave to the container under pressure (v1 soft limit, v2 memory.low). */
  readonly memoryReservationBytes?: number
  /** Memory and swap together; -1 unlimited; absent or 0: twice the memory limit, as Docker has it. */
  readonly memorySwapBytes?: number
  /** 0 to 100; v1 only. */
  readonly memorySwappiness?: number
  /** v1 only. */
  readonly oomKillDisable?: boolean
  /** CPUs times 1e9: 1.5 CPUs are 1_500_000_000. Wins over quota and period. */
  readonly cpuNanos?: number
  /** Microseconds in each period; -1 unlimited. */
  readonly cpuQuotaMicros?: number
  /** Default 100_000. */
  readonly cpuPeriodMicros?: number
  /** 2 to 262_144, against the default 1024; 0 is not set. */
  readonly cpuShares?: number
  /** A list as the kernel writes it: `0-3,7`. */
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  /** v1 only, on kernels with RT group scheduling. */
  readonly cpuRtPeriodMicros?: number
  readonly cpuRtRuntimeMicros?: number
  /** Processes and threads; 0 or -1 unlimited. */
  readonly pids?: number
  readonly blkio?: BlkioLimits
  /** Bytes by page size as the kernel names it: `2MB`, `1GB`. */
  readonly hugetlb?: Readonly<Record<string, number>>
  /** After Docker's default list, in order; a rule for `a` first replaces that list. Absent: the default list. */
  readonly devices?: readonly DeviceRule[]
}
