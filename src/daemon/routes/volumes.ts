import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { Context } from '../../reconciler/context.ts'
import { exportVolume, importVolume } from '../../reconciler/volume-archive.ts'
import {
  createLoneVolume,
  inspectVolume,
  listVolumes,
  pruneVolumes,
  removeVolume,
} from '../../reconciler/volume-admin.ts'
import { archiveOf, drained } from '../archive-body.ts'
import { pruneQuery, volumeRequest, volumesQuery } from '../request-schemas.ts'
import { parseBody } from '../validate.ts'

const TAR = 'application/x-tar'

interface NameParams {
  Params: { name: string }
}

export function volumeRoutes(app: FastifyInstance, context: Context): void {
  app.get('/v1/volumes', (request) => listVolumes(context, parseBody(volumesQuery, request.query)))
  app.post('/v1/volumes', async (request, reply) => {
    await createLoneVolume(context, parseBody(volumeRequest, request.body))
    return reply.code(204).send()
  })
  app.post('/v1/volumes/prune', (request) =>
    pruneVolumes(context, parseBody(pruneQuery, request.query).all === true),
  )
  app.get<NameParams>('/v1/volumes/:name', (request) => inspectVolume(context, request.params.name))
  app.get<NameParams>('/v1/volumes/:name/archive', async (request, reply) => {
    const chunks = await exportVolume(context, request.params.name)
    return reply.type(TAR).send(Readable.from(chunks, { objectMode: false }))
  })
  app.addContentTypeParser(TAR, (_request, payload, done) => {
    done(null, payload)
  })
  app.post<NameParams>('/v1/volumes/:name/archive', async (request, reply) => {
    await drained(archiveOf(request.body), (chunks) =>
      importVolume(context, request.params.name, chunks),
    )
    return reply.code(204).send()
  })
  app.delete<NameParams>('/v1/volumes/:name', async (request, reply) => {
    await removeVolume(context, request.params.name)
    return reply.code(204).send()
  })
}
