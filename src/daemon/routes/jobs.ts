import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { JobScheduler } from '../../reconciler/jobs/scheduler.ts'
import { parseBody } from '../validate.ts'

const historyQuery = z.object({ service: z.string().max(255).exactOptional() })

export function jobRoutes(app: FastifyInstance, jobs: JobScheduler): void {
  app.get<{ Params: { stack: string } }>('/v1/stacks/:stack/jobs', ({ params }) =>
    jobs.list(params.stack),
  )
  app.get<{ Params: { stack: string } }>('/v1/stacks/:stack/jobs/history', (request) =>
    jobs.history(request.params.stack, parseBody(historyQuery, request.query).service),
  )
  app.post<{ Params: { stack: string; service: string } }>(
    '/v1/stacks/:stack/jobs/:service/run',
    ({ params }) => jobs.runNow(params.stack, params.service),
  )
}
