/** What `watch` needs of the daemon (src/api/watch-types.ts). */
import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import type { SyncResponse } from '../../api/watch-types.ts'
import type { Context } from '../../reconciler/context.ts'
import { syncFiles } from '../../reconciler/sync-files.ts'
import { streamLines } from '../ndjson.ts'
import { parseBody } from '../validate.ts'
import { syncRequest } from '../watch-schemas.ts'

interface StackParams {
  Params: { stack: string }
}

export function watchRoutes(app: FastifyInstance, context: Context): void {
  app.post<StackParams>('/v1/stacks/:stack/watch', async (request, reply) => {
    const journal = context.syncJournal.open(request.params.stack)
    try {
      await streamLines(reply, async ({ write, signal }) => {
        await write([{ type: 'watching' }])
        if (!signal.aborted) await once(signal, 'abort')
      })
    } finally {
      journal.close()
    }
  })

  app.post<StackParams>('/v1/stacks/:stack/sync', (request): Promise<SyncResponse> =>
    syncFiles(context, request.params.stack, parseBody(syncRequest, request.body)),
  )
}
