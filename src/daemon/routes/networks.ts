import type { FastifyInstance } from 'fastify'
import {
  createNetwork,
  inspectNetwork,
  listNetworks,
  pruneNetworks,
  removeNetwork,
} from '../../reconciler/network-admin.ts'
import type { Context } from '../../reconciler/context.ts'
import { networkRequest, stackQuery } from '../request-schemas.ts'
import { parseBody } from '../validate.ts'

interface NameParams {
  Params: { name: string }
}

export function networkRoutes(app: FastifyInstance, context: Context): void {
  app.get('/v1/networks', (request) =>
    listNetworks(context, parseBody(stackQuery, request.query).stack),
  )
  app.post('/v1/networks', async (request, reply) => {
    await createNetwork(context, parseBody(networkRequest, request.body))
    return reply.code(204).send()
  })
  app.post('/v1/networks/prune', () => pruneNetworks(context))
  app.get<NameParams>('/v1/networks/:name', (request) =>
    inspectNetwork(context, request.params.name),
  )
  app.delete<NameParams>('/v1/networks/:name', async (request, reply) => {
    await removeNetwork(context, request.params.name)
    return reply.code(204).send()
  })
}
