/** `GET /metrics`: on the daemon's socket, and on an address of its own where one is set. */
import { createServer, type Server } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { once } from 'node:events'
import type { Context } from '../../reconciler/context.ts'
import { TsstackError } from '../../errors.ts'
import { log } from '../../log.ts'
import type { Gitops } from '../../gitops/open-gitops.ts'
import type { JobScheduler } from '../../reconciler/jobs/scheduler.ts'
import { statusOf } from '../../reconciler/loop/status.ts'
import { conditionMetrics } from '../telemetry/condition-metrics.ts'
import { containerMetrics } from '../telemetry/container-metrics.ts'
import { engineMetrics } from '../telemetry/engine-metrics.ts'
import { formatMetrics, OPEN_METRICS_TEXT, PROMETHEUS_TEXT } from '../telemetry/exposition.ts'
import type { ReconcileMetrics } from '../telemetry/reconcile-metrics.ts'

export interface MetricsSource {
  readonly context: Context
  readonly reconcile: ReconcileMetrics
  readonly gitops: Pick<Gitops, 'list'>
  readonly jobs: Pick<JobScheduler, 'history'>
}

interface Exposition {
  readonly type: string
  readonly text: string
}

function expose(
  { context, reconcile, gitops, jobs }: MetricsSource,
  accept: string | undefined,
): Exposition {
  const openMetrics = accept?.includes('application/openmetrics-text') === true
  const stacks = context.stacks.values().map(({ name }) => name)
  const families = [
    ...engineMetrics(context),
    ...conditionMetrics({
      stacks: stacks.map((stack) => statusOf(context, stack)),
      sources: gitops.list(),
      runs: stacks.flatMap((stack) => jobs.history(stack)),
    }),
    ...reconcile.families(),
    ...containerMetrics(context),
  ]
  return {
    type: openMetrics ? OPEN_METRICS_TEXT : PROMETHEUS_TEXT,
    text: formatMetrics(families, openMetrics),
  }
}

export function metricsRoutes(app: FastifyInstance, source: MetricsSource): void {
  app.get('/metrics', (request, reply) => {
    const { type, text } = expose(source, request.headers.accept)
    return reply.header('content-type', type).send(text)
  })
}

/**
 * Serves `/metrics`, and nothing else, to whoever can reach a TCP address.
 * @throws {ALREADY_EXISTS} {FAILED_PRECONDITION} when it can't listen there
 */
export async function listenForMetrics(
  source: MetricsSource,
  address: { readonly host: string; readonly port: number },
): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    const { type, text } = expose(source, request.headers.accept)
    response.writeHead(200, { 'content-type': type }).end(text)
  })
  server.maxConnections = 64
  server.listen(address)
  try {
    await once(server, 'listening')
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    throw new TsstackError(
      isTaken ? 'ALREADY_EXISTS' : 'FAILED_PRECONDITION',
      `Cannot serve metrics on ${address.host} port ${address.port}: ${(error as Error).message}`,
      { cause: error, hint: 'Change TSSTACK_METRICS_ADDRESS' },
    )
  }
  log.info('metrics are served', address)
  return server
}
