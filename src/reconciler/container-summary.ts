/** A container as the API shows it. */
import type { ContainerSummary } from '../api/types.ts'
import type { Context } from './context.ts'
import { healthOf } from './observe.ts'
import type { ContainerRecord } from './records.ts'

export function summarize(context: Context, record: ContainerRecord): ContainerSummary {
  const { config } = record
  const health = healthOf(context, record)
  return {
    id: record.id,
    name: config.name,
    stack: config.stack,
    service: config.service,
    number: config.number,
    oneoff: config.oneoff,
    image: config.image.reference,
    imageId: config.image.id,
    command: config.argv.join(' '),
    state: record.state,
    health,
    ...(record.exitCode === undefined || record.state === 'running'
      ? {}
      : { exitCode: record.exitCode }),
    status: statusText(record, health),
    createdAt: record.createdAt,
    ...(record.startedAt === undefined ? {} : { startedAt: record.startedAt }),
    ...(record.finishedAt === undefined ? {} : { finishedAt: record.finishedAt }),
    ports: record.publishedPorts,
    mounts: config.mounts.flatMap((mount): ContainerSummary['mounts'] => {
      if (mount.kind === 'volume') return [{ type: 'volume', source: mount.volume }]
      return mount.kind === 'bind' ? [{ type: 'bind', source: mount.source }] : []
    }),
    networks: networksOf(context, record),
    labels: config.labels,
    ...(record.pid === undefined ? {} : { pid: record.pid }),
    restartCount: record.restartCount,
  }
}

function networksOf(context: Context, record: ContainerRecord): ContainerSummary['networks'] {
  const entries = context.networks.leasesOf(record.id).map((lease) => {
    const aliases =
      record.config.endpoints.find((endpoint) => endpoint.network === lease.network)?.aliases ?? []
    const { ipv4, ipv6, mac } = lease
    return [
      lease.network,
      {
        ...(ipv4 === undefined ? {} : { ipv4 }),
        ...(ipv6 === undefined ? {} : { ipv6 }),
        mac,
        aliases,
      },
    ] as const
  })
  return Object.fromEntries(entries)
}

function statusText(record: ContainerRecord, health: string): string {
  switch (record.state) {
    case 'created':
      return 'Created'
    case 'running':
      return `Up ${since(record.startedAt)}${health === 'none' ? '' : ` (${health === 'starting' ? 'health: starting' : health})`}`
    case 'paused':
      return `Up ${since(record.startedAt)} (Paused)`
    case 'restarting':
      return `Restarting (${record.exitCode ?? 0}) ${since(record.finishedAt)} ago`
    case 'exited':
      return `Exited (${record.exitCode ?? 0}) ${since(record.finishedAt)} ago`
    case 'dead':
      return 'Dead'
  }
}

const UNITS = [
  ['second', 1, 60],
  ['minute', 60, 60],
  ['hour', 3600, 48],
  ['day', 86_400, 14],
  ['week', 604_800, Infinity],
] as const

/** Docker's rough durations: `Less than a second`, `5 seconds`, `About a minute`, `3 hours`. */
function since(time: string | undefined): string {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(time ?? '')) / 1000))
  if (!(seconds >= 1)) return 'Less than a second'
  for (const [unit, length, limit] of UNITS) {
    const count = Math.floor(seconds / length)
    if (count >= limit) continue
    if (count === 1 && unit !== 'second')
      return unit === 'hour' ? 'About an hour' : unit === 'minute' ? 'About a minute' : `1 ${unit}`
    return `${count} ${unit}${count === 1 ? '' : 's'}`
  }
  return `${seconds} seconds`
}
