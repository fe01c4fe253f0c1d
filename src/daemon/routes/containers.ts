import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { ContainerDetail, TopResponse } from '../../api/types.ts'
import { parseSignal } from '../../engine/signals.ts'
import { summarize } from '../../reconciler/container-summary.ts'
import type { Context } from '../../reconciler/context.ts'
import { findContainer, requireContainer } from '../../reconciler/find-container.ts'
import { launchContainer } from '../../reconciler/launch-container.ts'
import type { ContainerRecord } from '../../reconciler/records.ts'
import { removeContainer } from '../../reconciler/remove-container.ts'
import { interventionsOf, setOverrides, withoutStop } from '../../reconciler/loop/interventions.ts'
import { forgetServices } from '../../reconciler/take-down.ts'
import { killContainer, stopContainer } from '../../reconciler/stop-container.ts'
import { waitForExit } from '../../reconciler/wait-for-exit.ts'
import { TsstackError } from '../../errors.ts'
import { containersQuery, killQuery, removeQuery, resize } from '../request-schemas.ts'
import { parseBody } from '../validate.ts'

interface ContainerParams {
  Params: { id: string }
}

export function containerRoutes(app: FastifyInstance, context: Context): void {
  app.get('/v1/containers', (request) => {
    const { stack, all } = parseBody(containersQuery, request.query)
    return context.containers
      .values()
      .filter(
        ({ config, state }) =>
          (stack === undefined || config.stack === stack) && (all === true || isActive(state)),
      )
      .sort((a, b) => (a.config.name < b.config.name ? -1 : 1))
      .map((record) => summarize(context, record))
  })

  app.get<ContainerParams>('/v1/containers/:id', (request) =>
    detail(context, findContainer(context, request.params.id)),
  )

  app.delete<ContainerParams>('/v1/containers/:id', async (request, reply) => {
    const { id, config } = findContainer(context, request.params.id)
    const { force, volumes } = parseBody(removeQuery, request.query)
    await context.locks.run(id, async () => {
      if (force === true) await stopContainer(context, id, { graceMs: 0 })
      await removeContainer(context, id, { volumes: volumes ?? false })
    })
    forgetServices(context, config.stack)
    return reply.code(204).send()
  })

  app.post<ContainerParams>('/v1/containers/:id/start', async (request, reply) => {
    const { id, config } = findContainer(context, request.params.id)
    const { stack, service, oneoff } = config
    const { services } = interventionsOf(context.interventions, stack)
    if (!oneoff)
      setOverrides(context.interventions, stack, { [service]: withoutStop(services[service]) })
    await context.locks.run(id, () => {
      const record = requireContainer(context, id) // as it is now: it may have been changed meanwhile
      context.containers.put(id, { ...record, wanted: 'running', restartCount: 0 })
      return launchContainer(context, id)
    })
    return reply.code(204).send()
  })

  app.post<ContainerParams>('/v1/containers/:id/wait', async (request) => ({
    exitCode: await waitForExit(context, findContainer(context, request.params.id).id),
  }))

  app.post<ContainerParams>('/v1/containers/:id/kill', async (request, reply) => {
    const { signal } = parseBody(killQuery, request.query)
    await killContainer(
      context,
      findContainer(context, request.params.id).id,
      parseSignal(signal ?? 'SIGKILL'),
    )
    return reply.code(204).send()
  })

  app.post<ContainerParams>('/v1/containers/:id/resize', (request, reply) => {
    const { columns, rows } = parseBody(resize, request.body)
    context.live.get(findContainer(context, request.params.id).id)?.io.resize(columns, rows)
    return reply.code(204).send()
  })

  app.get<ContainerParams>('/v1/containers/:id/top', (request) =>
    top(context, findContainer(context, request.params.id)),
  )
}

function isActive(state: string): boolean {
  return state === 'running' || state === 'paused' || state === 'restarting'
}

function detail(context: Context, record: ContainerRecord): ContainerDetail {
  return {
    ...summarize(context, record),
    config: { ...record.config },
    healthLog: context.live.get(record.id)?.health?.log() ?? [],
    oomKilled: record.oomKilled,
    ...(record.error === undefined ? {} : { error: record.error }),
  }
}

const TICKS_PER_SECOND = 100 // USER_HZ, fixed in the kernel's ABI

function top(context: Context, record: ContainerRecord): TopResponse {
  const live = context.live.get(record.id)
  if (live === undefined)
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot list processes of "${record.config.name}": it does not run`,
    )
  const uptime = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0])
  const processes = live.cgroup.processes().flatMap((pid) => {
    const row = processRow(pid, uptime)
    return row === undefined ? [] : [row]
  })
  return { titles: ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'], processes }
}

/** A line as of `ps -ef`; undefined when the process has just ended. */
function processRow(pid: number, uptime: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const uid = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '?'
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
    const startedAt = new Date(Date.now() - (uptime - Number(fields[19]) / TICKS_PER_SECOND) * 1000)
    const time = new Date(cpuSeconds * 1000).toISOString().slice(11, 19)
    return [
      uid,
      String(pid),
      fields[1] ?? '?',
      '0',
      startedAt.toTimeString().slice(0, 5),
      '?',
      time,
      command || `[${name}]`,
    ]
  } catch {
    return undefined
  }
}
