/**
 * What the control groups and the kernel count for each running container, under cAdvisor's names
 * (google/cadvisor docs/storage/prometheus.md), so that dashboards that exist show it.
 */
import type { CgroupStats, Pressure } from '../../engine/cgroup/cgroup.ts'
import { readInterfaces, type InterfaceCounters } from '../../reconciler/interface-counters.ts'
import type { Context, LiveContainer } from '../../reconciler/context.ts'
import type { ContainerRecord } from '../../reconciler/records.ts'
import type { MetricFamily, Sample } from './exposition.ts'

interface Reading {
  readonly record: ContainerRecord
  readonly labels: Readonly<Record<string, string>>
  readonly stats: CgroupStats
  readonly interfaces: readonly InterfaceCounters[]
}

/** Absent: the host does not count it. */
type Value = number | undefined

interface ReadingMetric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge'
  readonly value: (reading: Reading) => Value
}

const NANOS = 1e9
const MICROS = 1e6

const counter = (name: string, help: string, value: ReadingMetric['value']): ReadingMetric => ({
  name,
  help,
  type: 'counter',
  value,
})
const gauge = (name: string, help: string, value: ReadingMetric['value']): ReadingMetric => ({
  name,
  help,
  type: 'gauge',
  value,
})

const METRICS: readonly ReadingMetric[] = [
  counter(
    'container_cpu_usage_seconds_total',
    'CPU time used.',
    ({ stats }) => stats.cpu.totalNanos / NANOS,
  ),
  counter(
    'container_cpu_user_seconds_total',
    'CPU time used by programs.',
    ({ stats }) => stats.cpu.userNanos / NANOS,
  ),
  counter(
    'container_cpu_system_seconds_total',
    'CPU time used by the kernel.',
    ({ stats }) => stats.cpu.systemNanos / NANOS,
  ),
  counter(
    'container_cpu_cfs_periods_total',
    'Periods of the CPU quota.',
    ({ stats }) => stats.cpu.periods,
  ),
  counter(
    'container_cpu_cfs_throttled_periods_total',
    'Periods in which the CPU quota ran out.',
    ({ stats }) => stats.cpu.throttledPeriods,
  ),
  counter(
    'container_cpu_cfs_throttled_seconds_total',
    'Time in which the CPU quota had run out.',
    ({ stats }) => stats.cpu.throttledNanos / NANOS,
  ),
  gauge(
    'container_memory_usage_bytes',
    'Memory charged, page cache included.',
    ({ stats }) => stats.memory.usageBytes,
  ),
  gauge(
    'container_memory_working_set_bytes',
    'Memory charged, without inactive page cache.',
    ({ stats }) => stats.memory.workingSetBytes,
  ),
  gauge('container_memory_rss', 'Anonymous memory.', ({ stats }) => stats.memory.anonymousBytes),
  gauge('container_memory_cache', 'Page cache.', ({ stats }) => stats.memory.cacheBytes),
  gauge('container_memory_swap', 'Swap used.', ({ stats }) => stats.memory.swapBytes),
  gauge(
    'container_memory_max_usage_bytes',
    'Highest memory usage.',
    ({ stats }) => stats.memory.maxUsageBytes,
  ),
  counter(
    'container_oom_events_total',
    'Processes killed for want of memory.',
    ({ stats }) => stats.memory.oomKills,
  ),
  gauge(
    'container_spec_memory_limit_bytes',
    'Memory limit; 0 without one.',
    ({ stats }) => stats.memory.limitBytes ?? 0,
  ),
  gauge('container_processes', 'Processes and threads.', ({ stats }) => stats.pids.current),
  gauge(
    'container_threads_max',
    'Limit of processes and threads.',
    ({ stats }) => stats.pids.limit,
  ),
  counter(
    'container_fs_reads_bytes_total',
    'Bytes read from block devices.',
    ({ stats }) => stats.blkio.readBytes,
  ),
  counter(
    'container_fs_writes_bytes_total',
    'Bytes written to block devices.',
    ({ stats }) => stats.blkio.writeBytes,
  ),
  counter(
    'container_fs_reads_total',
    'Reads from block devices.',
    ({ stats }) => stats.blkio.readOperations,
  ),
  counter(
    'container_fs_writes_total',
    'Writes to block devices.',
    ({ stats }) => stats.blkio.writeOperations,
  ),
  gauge(
    'container_start_time_seconds',
    'When it was started, in seconds since 1970.',
    ({ record }) => Date.parse(record.startedAt ?? '') / 1000,
  ),
  gauge('container_last_seen', 'When it was looked at, in seconds since 1970.', () =>
    Math.floor(Date.now() / 1000),
  ),
  ...(['cpu', 'memory', 'io'] as const).flatMap((resource) => {
    const seconds =
      (pick: (pressure: Pressure) => number) =>
      ({ stats }: Reading): Value =>
        stats.pressure?.[resource] === undefined
          ? undefined
          : pick(stats.pressure[resource]) / MICROS
    return [
      counter(
        `container_pressure_${resource}_waiting_seconds_total`,
        `Time in which some task waited for ${resource}.`,
        seconds(({ someMicros }) => someMicros),
      ),
      counter(
        `container_pressure_${resource}_stalled_seconds_total`,
        `Time in which all tasks waited for ${resource}.`,
        seconds(({ fullMicros }) => fullMicros),
      ),
    ]
  }),
]

export function containerMetrics(context: Context): MetricFamily[] {
  const readings = [...context.live.values()].flatMap((live) => read(context, live) ?? [])
  return [...METRICS.map((metric) => familyOf(metric, readings)), ...networkMetrics(readings)]
}

/** undefined: it is just ending. */
function read(context: Context, live: LiveContainer): Reading | undefined {
  const record = context.containers.get(live.id)
  if (record === undefined) return undefined
  try {
    const interfaces = readInterfaces(live.process.pid)
    return {
      record,
      labels: labelsOf(record, live.cgroup.name),
      stats: live.cgroup.stats(),
      interfaces,
    }
  } catch {
    return undefined
  }
}

function labelsOf({ config }: ContainerRecord, cgroup: string): Record<string, string> {
  return {
    id: `/tsstack/${cgroup}`,
    name: config.name,
    image: config.image.reference,
    container_label_com_docker_compose_project: config.stack,
    container_label_com_docker_compose_service: config.service,
  }
}

function familyOf({ value, ...family }: ReadingMetric, readings: readonly Reading[]): MetricFamily {
  const samples = readings.flatMap((reading): Sample[] => {
    const found = value(reading)
    if (found === undefined || Number.isNaN(found)) return []
    return [{ labels: reading.labels, value: found }]
  })
  return { ...family, samples }
}

const NETWORK = {
  receive_bytes: 'Bytes received.',
  receive_packets: 'Packets received.',
  receive_errors: 'Packets that could not be received.',
  receive_packets_dropped: 'Received packets that were dropped.',
  transmit_bytes: 'Bytes sent.',
  transmit_packets: 'Packets sent.',
  transmit_errors: 'Packets that could not be sent.',
  transmit_packets_dropped: 'Packets that were dropped instead of sent.',
} as const satisfies Partial<Record<keyof InterfaceCounters['counters'], string>>

function networkMetrics(readings: readonly Reading[]): MetricFamily[] {
  return Object.entries(NETWORK).map(([key, help]) => ({
    name: `container_network_${key}_total`,
    help,
    type: 'counter',
    samples: readings.flatMap(({ labels, interfaces }) =>
      interfaces.map(({ name, counters }) => ({
        labels: { ...labels, interface: name },
        value: counters[key as keyof typeof NETWORK],
      })),
    ),
  }))
}
