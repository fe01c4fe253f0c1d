import type { FastifyInstance } from 'fastify'
import type { Revision, RevisionDiff } from '../../api/revision-types.ts'
import type { Context } from '../../reconciler/context.ts'
import { diffRevisions, listRevisions } from '../../reconciler/revisions/revision-view.ts'
import { rehearseRollback } from '../../reconciler/rehearse.ts'
import { rollBack } from '../../reconciler/revisions/roll-back.ts'
import { authorOf } from '../author.ts'
import { warnIfFollowed } from '../followed.ts'
import { streamProgress } from '../progress-stream.ts'
import { revisionRangeQuery, rollbackRequest } from '../request-schemas.ts'
import { parseBody } from '../validate.ts'
import type { StackParams } from './stacks.ts'

export function revisionRoutes(app: FastifyInstance, context: Context): void {
  app.get<StackParams>('/v1/stacks/:stack/revisions', (request): Revision[] =>
    listRevisions(context, request.params.stack),
  )

  app.get<StackParams>('/v1/stacks/:stack/revisions/diff', (request): RevisionDiff => {
    const range = parseBody(revisionRangeQuery, request.query)
    return diffRevisions(context, request.params.stack, range)
  })

  app.post<StackParams>('/v1/stacks/:stack/rollback', async (request, reply) => {
    const body = parseBody(rollbackRequest, request.body)
    const target = { stack: request.params.stack, request: body, author: authorOf(request) }
    await streamProgress(reply, (tell, signal) => {
      warnIfFollowed(context, target.stack, tell)
      const roll = body.dryRun === true ? rehearseRollback : rollBack
      return roll(context, { ...target, signal }, tell)
    })
  })
}
