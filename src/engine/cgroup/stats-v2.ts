/** Counters of a container from the files of cgroup v2. */
import type { BlkioStats, CgroupStats, Pressure } from './cgroup.ts'
import { parseFlatKeyed, readNumber, tryRead } from './cgroup-file.ts'

/** Sums the lines of io.stat, `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …`, over all devices. */
export function parseIoStat(text: string): BlkioStats {
  const sums = new Map<string, number>()
  for (const pair of text.split(/\s+/)) {
    const [key = '', value] = pair.split('=')
    if (value !== undefined) sums.set(key, (sums.get(key) ?? 0) + Number(value))
  }
  return {
    readBytes: sums.get('rbytes') ?? 0,
    writeBytes: sums.get('wbytes') ?? 0,
    readOperations: sums.get('rios') ?? 0,
    writeOperations: sums.get('wios') ?? 0,
  }
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234`, and a line of the same form for `full`. */
export function parsePressure(text: string): Pressure {
  const total = (kind: string): number =>
    Number(new RegExp(`^${kind} .*total=(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return { someMicros: total('some'), fullMicros: total('full') }
}

function readPressure(directory: string): Pick<CgroupStats, 'pressure'> {
  const cpu = tryRead(`${directory}/cpu.pressure`)
  const memory = tryRead(`${directory}/memory.pressure`)
  const io = tryRead(`${directory}/io.pressure`)
  if (cpu === undefined || memory === undefined || io === undefined) return {}
  return {
    pressure: {
      cpu: parsePressure(cpu),
      memory: parsePressure(memory),
      io: parsePressure(io),
    },
  }
}

/** `oom_kill` of memory.events, cgroups below included. */
export function readOomKillsV2(directory: string): number {
  return parseFlatKeyed(tryRead(`${directory}/memory.events`) ?? '').get('oom_kill') ?? 0
}

/** @param directory the container's */
export function readStatsV2(directory: string): CgroupStats {
  const cpu = parseFlatKeyed(tryRead(`${directory}/cpu.stat`) ?? '')
  const memory = parseFlatKeyed(tryRead(`${directory}/memory.stat`) ?? '')
  const usageBytes = readNumber(`${directory}/memory.current`) ?? 0
  const nanos = (key: string): number => (cpu.get(key) ?? 0) * 1000
  return {
    cpu: {
      totalNanos: nanos('usage_usec'),
      userNanos: nanos('user_usec'),
      systemNanos: nanos('system_usec'),
      periods: cpu.get('nr_periods') ?? 0,
      throttledPeriods: cpu.get('nr_throttled') ?? 0,
      throttledNanos: nanos('throttled_usec'),
    },
    memory: {
      usageBytes,
      workingSetBytes: Math.max(0, usageBytes - (memory.get('inactive_file') ?? 0)),
      limitBytes: readNumber(`${directory}/memory.max`),
      maxUsageBytes: readNumber(`${directory}/memory.peak`),
      anonymousBytes: memory.get('anon') ?? 0,
      cacheBytes: memory.get('file') ?? 0,
      swapBytes: readNumber(`${directory}/memory.swap.current`),
      oomKills: readOomKillsV2(directory),
    },
    pids: {
      current: readNumber(`${directory}/pids.current`) ?? 0,
      limit: readNumber(`${directory}/pids.max`),
    },
    blkio: parseIoStat(tryRead(`${directory}/io.stat`) ?? ''),
    ...readPressure(directory),
  }
}
