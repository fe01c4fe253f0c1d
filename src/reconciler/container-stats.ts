import { readFileSync } from 'node:fs'
import type { StatsSample } from '../api/types.ts'
import type { Context, LiveContainer } from './context.ts'

/** The counters of one container at one moment. */
interface Reading {
  readonly cpuTotalNanos: number
  readonly atMs: number
}

export interface StatsReader {
  /** One sample of each running container; CPU percent is over the time since the last call. */
  read(): StatsSample[]
}

/** @param stack only its containers; absent: all */
export function createStatsReader(context: Context, stack: string | undefined): StatsReader {
  let last = new Map<string, Reading>()
  return {
    read() {
      const now = new Map<string, Reading>()
      const samples: StatsSample[] = []
      for (const live of context.live.values()) {
        const record = context.containers.get(live.id)
        if (record === undefined || (stack !== undefined && record.config.stack !== stack)) continue
        const sample = sampleOf(live, {
          name: record.config.name,
          service: record.config.service,
          before: last.get(live.id),
        })
        now.set(live.id, { cpuTotalNanos: sample.cpuTotalNanos, atMs: performance.now() })
        samples.push(sample)
      }
      last = now
      return samples.sort((a, b) => (a.name < b.name ? -1 : 1))
    },
  }
}

interface SampleOf {
  readonly name: string
  readonly service: string
  readonly before: Reading | undefined
}

function sampleOf(live: LiveContainer, { name, service, before }: SampleOf): StatsSample {
  const { cpu, memory, pids, blkio } = live.cgroup.stats()
  const elapsedNanos = before === undefined ? 0 : (performance.now() - before.atMs) * 1e6
  const network = networkTraffic(live.process.pid)
  return {
    id: live.id,
    name,
    service,
    cpuPercent:
      before === undefined || elapsedNanos === 0
        ? 0
        : ((cpu.totalNanos - before.cpuTotalNanos) / elapsedNanos) * 100,
    cpuTotalNanos: cpu.totalNanos,
    memoryBytes: memory.workingSetBytes,
    memoryLimitBytes: memory.limitBytes ?? hostMemoryBytes(),
    networkReceivedBytes: network.received,
    networkSentBytes: network.sent,
    blockReadBytes: blkio.readBytes,
    blockWrittenBytes: blkio.writeBytes,
    pids: pids.current,
  }
}

function hostMemoryBytes(): number {
  const kilobytes = /^MemTotal:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1]
  return Number(kilobytes ?? 0) * 1024
}

/** Sums of all interfaces but loopback, as the process's own network namespace counts them (man 5 proc). */
function networkTraffic(pid: number): { received: number; sent: number } {
  let received = 0
  let sent = 0
  try {
    for (const line of readFileSync(`/proc/${pid}/net/dev`, 'latin1').split('\n').slice(2)) {
      const [name = '', ...counters] = line.trim().split(/[:\s]+/)
      if (name === '' || name === 'lo') continue
      received += Number(counters[0])
      sent += Number(counters[8])
    }
  } catch {
    // it has just ended
  }
  return { received, sent }
}
