import type { FastifyReply } from 'fastify'
import type { LogEnd, LogLine } from '../../api/types.ts'
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

const RUNNING: ReadonlySet<string> = new Set(['running', 'paused', 'restarting'])
/** Of containers: what may make a difference to whether any runs. */
const TURNS: ReadonlySet<string> = new Set(['start', 'die', 'destroy'])

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
  const { services, oneoff, follow, untilEnded, tail, since, until } = parseBody(logsQuery, query)
  const wanted = services === undefined || services === '' ? undefined : services.split(',')
  const withOneOff = oneoff ?? wanted !== undefined
  const isWanted = ({ config }: ContainerRecord): boolean =>
    (wanted?.includes(config.service) ?? true) && (withOneOff || !config.oneoff)
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
    if (follow === true) {
      const ended = untilEnded === true ? allEnded(context, { stack, isWanted, sink }) : undefined
      readers.push(followNew(context, { stack, isWanted, sink, ended }))
    }
    await Promise.all(readers) // as soon as one fails, not when all have ended
    if (untilEnded === true) sink.send([logEnd()])
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
  /** Resolves when no more are to be followed; absent: when the client goes. */
  readonly ended?: Promise<void> | undefined
}

/** Reads containers that start while somebody follows; of these one that fails ends nobody. */
function followNew(context: Context, { stack, isWanted, sink, ended }: FollowNew): Promise<void> {
  return new Promise((resolve) => {
    const readers: Promise<void>[] = []
    const unsubscribe = context.events.subscribe((event) => {
      if (event.type !== 'container' || event.action !== 'start' || event.stack !== stack) return
      // The record is complete when the turn in which it started is over.
      const since = event.time
      setImmediate(() => {
        const record = context.containers.get(event.id)
        if (record === undefined || !isWanted(record)) return
        const reader = pump(context, record, { options: { since }, follow: true, sink })
        readers.push(reader.catch(() => undefined))
      })
    })
    const finish = (): void => {
      unsubscribe()
      resolve(Promise.all(readers).then(() => undefined))
    }
    sink.signal.addEventListener('abort', finish)
    void ended?.then(finish)
  })
}

/**
 * Resolves when none of these containers runs any more, and no request of the stack is about to start one; or the client
 * goes. Where there was none yet the first one is waited for.
 */
function allEnded(context: Context, { stack, isWanted, sink }: FollowNew): Promise<void> {
  const wanted = (): readonly ContainerRecord[] => containersOf(context, stack).filter(isWanted)
  let hasBegun = wanted().length > 0
  const isOver = (): boolean => hasBegun && !wanted().some(({ state }) => RUNNING.has(state))
  return new Promise((resolve) => {
    const look = (): void => {
      hasBegun ||= wanted().length > 0
      if (!isOver()) return
      const turn = context.locks.run(`stack ${stack}`, () => Promise.resolve(isOver()))
      void turn.then((over) => {
        if (over) finish()
      })
    }
    const unsubscribe = context.events.subscribe((event) => {
      if (event.type === 'container' && event.stack === stack && TURNS.has(event.action))
        setImmediate(look) // the record is complete then
    })
    const finish = (): void => {
      unsubscribe()
      resolve()
    }
    sink.signal.addEventListener('abort', finish)
    look()
  })
}

function logEnd(): LogEnd {
  return { type: 'end', time: `${new Date().toISOString().slice(0, -1)}000000Z`, container: '' }
}
