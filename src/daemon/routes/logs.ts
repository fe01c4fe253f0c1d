import type { FastifyReply } from 'fastify'
import type { LogLine } from '../../api/types.ts'
import type { LogRecord } from '../../engine/logs/log-format.ts'
import { readLog, type ReadLogOptions } from '../../engine/logs/log-reader.ts'
import type { Context } from '../../reconciler/context.ts'
import { ioOptions } from '../../reconciler/container-streams.ts'
import { containersOf } from '../../reconciler/observe.ts'
import type { ContainerRecord } from '../../reconciler/records.ts'
import { timeArgument } from '../time-argument.ts'
import { streamLines, type LineSink } from '../ndjson.ts'
import { logsQuery } from '../request-schemas.ts'
import { parseBody } from '../validate.ts'

interface LogsCall {
  readonly stack: string
  readonly query: unknown
  readonly reply: FastifyReply
}

/**
 * The logs of a stack's containers: what is there in the order of time, then, with `follow`, as it comes, of containers
 * that start later too.
 */
export async function streamLogs(
  context: Context,
  { stack, query, reply }: LogsCall,
): Promise<void> {
  const { services, follow, tail, since, until } = parseBody(logsQuery, query)
  const wanted = services === undefined || services === '' ? undefined : services.split(',')
  const isWanted = (record: ContainerRecord): boolean =>
    wanted?.includes(record.config.service) ?? !record.config.oneoff
  const records = containersOf(context, stack).filter(isWanted)
  const options: ReadLogOptions = {
    ...(tail === undefined || tail === 'all' ? {} : { tail: Number(tail) }),
    ...(since === undefined ? {} : { since: timeArgument(since) }),
    ...(until === undefined ? {} : { until: timeArgument(until) }),
  }
  const produce = async (sink: LineSink): Promise<void> => {
    const readers = records.map((record) =>
      pump(context, record, { options, follow: follow ?? false, sink }),
    )
    if (follow === true) await followNew(context, { stack, isWanted, sink })
    await Promise.all(readers)
  }
  await streamLines(reply, produce, { follows: follow ?? false })
}

interface Pump {
  readonly options: ReadLogOptions
  readonly follow: boolean
  readonly sink: LineSink
}

async function pump(
  context: Context,
  record: ContainerRecord,
  { options, follow, sink }: Pump,
): Promise<void> {
  const { directory } = ioOptions(context, record)
  const live = follow ? context.live.get(record.id) : undefined
  const ended = new AbortController()
  const stop = (): void => {
    ended.abort()
  }
  sink.signal.addEventListener('abort', stop)
  void live?.ended.then(stop)
  const following = live === undefined ? {} : { follow: live.io.log, signal: ended.signal }
  for await (const batch of readLog(directory, { ...options, ...following })) {
    await sink.write(batch.map((line) => toLine(record, line)))
    if (sink.signal.aborted) return
  }
}

function toLine({ config }: ContainerRecord, { log, stream, time }: LogRecord): LogLine {
  return {
    type: 'log',
    container: config.name,
    service: config.service,
    number: config.number,
    stream,
    time,
    line: log.endsWith('\n') ? log.slice(0, -1) : log,
  }
}

interface FollowNew {
  readonly stack: string
  readonly isWanted: (record: ContainerRecord) => boolean
  readonly sink: LineSink
}

/** Containers that start while somebody follows; ends when the client goes. */
function followNew(context: Context, { stack, isWanted, sink }: FollowNew): Promise<void> {
  return new Promise((resolve) => {
    const unsubscribe = context.events.subscribe((event) => {
      if (event.type !== 'container' || event.action !== 'start' || event.stack !== stack) return
      // The record is complete when the turn in which it started is over.
      const since = event.time
      setImmediate(() => {
        const record = context.containers.get(event.id)
        if (record === undefined || !isWanted(record)) return
        void pump(context, record, { options: { since }, follow: true, sink }).catch(
          () => undefined,
        )
      })
    })
    sink.signal.addEventListener('abort', () => {
      unsubscribe()
      resolve()
    })
  })
}
