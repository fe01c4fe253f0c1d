/** Counters of a container from the files of cgroup v1. */
import type { BlkioStats, CgroupStats, MemoryStats } from './cgroup.ts'
import { parseFlatKeyed, readNumber, tryRead } from './cgroup-file.ts'

/** What the kernel shows for "no limit": the largest number of whole pages below 2^63. */
const UNLIMITED = 2 ** 62

/** Sums `8:0 Read 4096` over all devices; the `Total` lines have no second blank and repeat the rest. */
export function parseBlkio(text: string): { readonly read: number; readonly write: number } {
  let read = 0
  let write = 0
  for (const line of text.split('\n')) {
    const [, operation, value] = line.split(' ')
    if (operation === 'Read') read += Number(value)
    if (operation === 'Write') write += Number(value)
  }
  return { read, write }
}

function readBlkio(directory: string | undefined): BlkioStats {
  // Kernels count in one place or the other: by the throttle, or by the scheduler when that is BFQ.
  const read = (name: string): { readonly read: number; readonly write: number } => {
    const throttle = parseBlkio(tryRead(`${directory}/blkio.throttle.${name}_recursive`) ?? '')
    if (throttle.read > 0 || throttle.write > 0) return throttle
    return parseBlkio(tryRead(`${directory}/blkio.bfq.${name}_recursive`) ?? '')
  }
  if (directory === undefined)
    return { readBytes: 0, writeBytes: 0, readOperations: 0, writeOperations: 0 }
  const bytes = read('io_service_bytes')
  const operations = read('io_serviced')
  return {
    readBytes: bytes.read,
    writeBytes: bytes.write,
    readOperations: operations.read,
    writeOperations: operations.write,
  }
}

/** `oom_kill N` in memory.oom_control (Linux 4.13). */
export function readOomKillsV1(directory: string): number {
  return parseFlatKeyed(tryRead(`${directory}/memory.oom_control`) ?? '').get('oom_kill') ?? 0
}

function readMemory(directory: string): MemoryStats {
  const usageBytes = readNumber(`${directory}/memory.usage_in_bytes`) ?? 0
  const stat = parseFlatKeyed(tryRead(`${directory}/memory.stat`) ?? '')
  const limit = stat.get('hierarchical_memory_limit')
  return {
    usageBytes,
    workingSetBytes: Math.max(0, usageBytes - (stat.get('total_inactive_file') ?? 0)),
    limitBytes: limit === undefined || limit >= UNLIMITED ? undefined : limit,
    maxUsageBytes: readNumber(`${directory}/memory.max_usage_in_bytes`),
    anonymousBytes: stat.get('total_rss') ?? 0,
    cacheBytes: stat.get('total_cache') ?? 0,
    swapBytes: stat.get('total_swap'),
    oomKills: readOomKillsV1(directory),
  }
}

/** @param directories the container's directory by controller */
export function readStatsV1(directories: ReadonlyMap<string, string>): CgroupStats {
  const cpuacct = directories.get('cpuacct')
  const throttling = parseFlatKeyed(tryRead(`${directories.get('cpu')}/cpu.stat`) ?? '')
  const memory = directories.get('memory')
  const pids = directories.get('pids')
  return {
    cpu: {
      totalNanos: readNumber(`${cpuacct}/cpuacct.usage`) ?? 0,
      userNanos: readNumber(`${cpuacct}/cpuacct.usage_user`) ?? 0,
      systemNanos: readNumber(`${cpuacct}/cpuacct.usage_sys`) ?? 0,
      periods: throttling.get('nr_periods') ?? 0,
      throttledPeriods: throttling.get('nr_throttled') ?? 0,
      throttledNanos: throttling.get('throttled_time') ?? 0,
    },
    memory: readMemory(memory ?? '/nonexistent'),
    pids: {
      current: readNumber(`${pids}/pids.current`) ?? 0,
      limit: readNumber(`${pids}/pids.max`),
    },
    blkio: readBlkio(directories.get('blkio')),
  }
}
