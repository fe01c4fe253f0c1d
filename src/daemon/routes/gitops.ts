import type { FastifyInstance } from 'fastify'
import type { Gitops } from '../../gitops/open-gitops.ts'
import { approveRequest, gitSource, syncRequest } from '../gitops-schemas.ts'
import { parseBody } from '../validate.ts'

interface NameParams {
  Params: { name: string }
}

export function gitopsRoutes(app: FastifyInstance, gitops: Gitops): void {
  app.get('/v1/gitops', () => gitops.list())
  app.post('/v1/gitops', (request) => gitops.add(parseBody(gitSource, request.body)))
  app.get<NameParams>('/v1/gitops/:name', ({ params }) => gitops.status(params.name))
  app.delete<NameParams>('/v1/gitops/:name', async ({ params }, reply) => {
    await gitops.remove(params.name)
    return reply.code(204).send()
  })
  app.post<NameParams>('/v1/gitops/:name/sync', ({ params, body }) =>
    gitops.sync(params.name, parseBody(syncRequest, body ?? {})),
  )
  app.post<NameParams>('/v1/gitops/:name/suspend', ({ params }) =>
    gitops.suspend(params.name, true),
  )
  app.post<NameParams>('/v1/gitops/:name/resume', ({ params }) =>
    gitops.suspend(params.name, false),
  )
  app.post<NameParams>('/v1/gitops/:name/approve', ({ params, body }) =>
    gitops.approve(params.name, parseBody(approveRequest, body ?? {}).digest),
  )
  app.get<NameParams>(
    '/v1/gitops/:name/diff',
    ({ params }) => gitops.pending(params.name) ?? { text: '' },
  )
}
