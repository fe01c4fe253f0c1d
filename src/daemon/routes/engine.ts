/** What concerns the engine as a whole: version, doctor, events, statistics, images. */
import os from 'node:os'
import type { FastifyInstance } from 'fastify'
import type { EngineEvent, ImageSummary, Version } from '../../api/types.ts'
import { createStatsReader } from '../../reconciler/container-stats.ts'
import type { Context } from '../../reconciler/context.ts'
import { API_VERSION, VERSION } from '../../version.ts'
import { examineHost } from '../doctor.ts'
import { streamLines, type LineSink } from '../ndjson.ts'
import { eventsQuery, statsQuery } from '../request-schemas.ts'
import { timeArgument } from '../time-argument.ts'
import { parseBody } from '../validate.ts'

const STATS_PERIOD_MS = 1000
const STARTED_AT = new Date().toISOString()

export function engineRoutes(app: FastifyInstance, context: Context, stateDir: string): void {
  app.get('/v1/version', (): Version => ({
    version: VERSION,
    apiVersion: API_VERSION,
    node: process.version,
    kernel: os.release(),
    arch: process.arch,
    pid: process.pid,
    stateDir,
    startedAt: STARTED_AT,
  }))
  app.get('/v1/doctor', () => examineHost(context))
  app.get('/v1/events', async (request, reply) => {
    const query = parseBody(eventsQuery, request.query)
    const follows = query.follow ?? false
    await streamLines(reply, (sink) => streamEvents(context, query, sink), { follows })
  })
  app.get('/v1/stats', async (request, reply) => {
    const { stack, stream } = parseBody(statsQuery, request.query)
    const once = stream !== true
    await streamLines(reply, (sink) => streamStats(context, { stack, once }, sink), {
      follows: !once,
    })
  })
  app.get('/v1/images', (): ImageSummary[] =>
    context.images.list().map(({ reference, image }) => ({
      id: image.id,
      reference,
      layers: image.layers.length,
      sizeBytes: image.sizeBytes,
      createdAt: image.created,
    })),
  )
}

interface EventsQuery {
  readonly stack?: string
  readonly since?: string
  readonly follow?: boolean
}

async function streamEvents(
  context: Context,
  { stack, since, follow }: EventsQuery,
  sink: LineSink,
): Promise<void> {
  const isWanted = (event: EngineEvent): boolean => stack === undefined || event.stack === stack
  const followed = follow === true ? sink.signal : undefined
  const from = since === undefined ? undefined : timeArgument(since)
  for await (const batch of context.events.read({ since: from, follow: followed }))
    await sink.write(batch.filter((event) => isWanted(event)))
}

async function streamStats(
  context: Context,
  { stack, once }: { readonly stack: string | undefined; readonly once: boolean },
  sink: LineSink,
): Promise<void> {
  const reader = createStatsReader(context, stack)
  reader.read() // the first reading is what the second is compared with
  do {
    await new Promise((resolve) => setTimeout(resolve, STATS_PERIOD_MS))
    await sink.write(reader.read())
  } while (!once && !sink.signal.aborted)
}
