import { readFileSync } from 'node:fs'
import type { StatsSample } from '../api/types.ts'
import type { Context, LiveContainer } from './context.ts'
import { readInterfaces } from './interface-counters.ts'

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
  const { cpu, memory, pids, blkio, pressure } = live.cgroup.stats()
  const elapsedNanos = before === undefined ? 0 : (performance.now() - before.atMs) * 1e6
  const interfaces = readInterfaces(live.process.pid)
  const sum = (key: 'receive_bytes' | 'transmit_bytes'): number =>
    interfaces.reduce((total, { counters }) => total + counters[key], 0)
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
    networkReceivedBytes: sum('receive_bytes'),
    networkSentBytes: sum('transmit_bytes'),
    blockReadBytes: blkio.readBytes,
    blockWrittenBytes: blkio.writeBytes,
    pids: pids.current,
    ...(pressure === undefined ? {} : { pressure }),
  }
}

function hostMemoryBytes(): number {
  const kilobytes = /^MemTotal:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1]
  return Number(kilobytes ?? 0) * 1024
}
