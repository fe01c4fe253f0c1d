/** Building images: what src/api/build-types.ts lists. */
import type { FastifyInstance } from 'fastify'
import type { Context } from '../../reconciler/context.ts'
import { pruneBuildCache } from '../../reconciler/build-cache-admin.ts'
import { buildStack } from '../../reconciler/build-stack.ts'
import { buildPruneRequest, buildRequest } from '../build-schemas.ts'
import { streamProgress } from '../progress-stream.ts'
import { parseBody } from '../validate.ts'

export function buildRoutes(app: FastifyInstance, context: Context): void {
  app.post('/v1/stacks/:stack/build', async (request, reply) => {
    const body = parseBody(buildRequest, request.body)
    await streamProgress(reply, (tell, signal) => buildStack(context, body, { tell, signal }))
  })
  app.post('/v1/builder/prune', (request) =>
    pruneBuildCache(context, parseBody(buildPruneRequest, request.body)),
  )
}
