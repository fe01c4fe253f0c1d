/** What the daemon knows of its containers beyond what the kernel counts, and what it costs itself. */
import { readdirSync } from 'node:fs'
import type { Context } from '../../reconciler/context.ts'
import { healthOf } from '../../reconciler/observe.ts'
import type { ContainerRecord } from '../../reconciler/records.ts'
import { VERSION } from '../../version.ts'
import type { MetricFamily, Sample } from './exposition.ts'

const HEALTH_STATES = ['starting', 'healthy', 'unhealthy'] as const

export function engineMetrics(context: Context): MetricFamily[] {
  const records = context.containers.values()
  return [
    {
      name: 'tsstack_build_info',
      help: 'The daemon that runs.',
      type: 'gauge',
      samples: [{ labels: { version: VERSION, node: process.version }, value: 1 }],
    },
    {
      name: 'tsstack_containers',
      help: 'Containers by state.',
      type: 'gauge',
      samples: containersByState(records),
    },
    {
      name: 'tsstack_container_restarts_total',
      help: 'Restarts by policy since the container was last started by request.',
      type: 'counter',
      samples: records.map((record) => ({
        labels: identityOf(record),
        value: record.restartCount,
      })),
    },
    {
      name: 'tsstack_health_status',
      help: '1 for the state that the health check is in.',
      type: 'gauge',
      samples: records.flatMap((record) => healthSamples(context, record)),
    },
    ...processMetrics(),
  ]
}

function identityOf({ config }: ContainerRecord): Record<string, string> {
  return { stack: config.stack, service: config.service, name: config.name }
}

function containersByState(records: readonly ContainerRecord[]): Sample[] {
  const counts = new Map<string, number>()
  for (const { config, state } of records) {
    const key = JSON.stringify([config.stack, state])
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return [...counts].map(([key, value]) => {
    const [stack = '', state = ''] = JSON.parse(key) as string[]
    return { labels: { stack, state }, value }
  })
}

function healthSamples(context: Context, record: ContainerRecord): Sample[] {
  if (record.state !== 'running' || record.config.health === undefined) return []
  const current = healthOf(context, record)
  return HEALTH_STATES.map((status) => ({
    labels: { ...identityOf(record), status },
    value: status === current ? 1 : 0,
  }))
}

/** Of the daemon itself, under the names that every client library uses. */
function processMetrics(): MetricFamily[] {
  const { user, system } = process.cpuUsage()
  const single = (
    name: string,
    type: 'counter' | 'gauge',
    { help, value }: { readonly help: string; readonly value: number },
  ): MetricFamily => ({ name, help, type, samples: [{ labels: {}, value }] })
  const startedAt = Date.now() / 1000 - process.uptime()
  return [
    single('process_cpu_seconds_total', 'counter', {
      help: 'CPU time that the daemon has used.',
      value: (user + system) / 1e6,
    }),
    single('process_resident_memory_bytes', 'gauge', {
      help: 'Memory of the daemon.',
      value: process.memoryUsage.rss(),
    }),
    single('process_start_time_seconds', 'gauge', {
      help: 'When the daemon began, in seconds since 1970.',
      value: Math.round(startedAt * 1000) / 1000,
    }),
    single('process_open_fds', 'gauge', {
      help: 'Descriptors that the daemon has open.',
      value: readdirSync('/proc/self/fd').length,
    }),
  ]
}
