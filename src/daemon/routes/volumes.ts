import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
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
import { TsstackError } from '../../errors.ts'
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
  app.post<NameParams & { Body: Readable }>('/v1/volumes/:name/archive', async (request, reply) => {
    if (!(request.body instanceof Readable))
      throw new TsstackError('INVALID_ARGUMENT', `Cannot import: the body is not ${TAR}`)
    const archive = request.body
    await importVolume(context, request.params.name, chunksOf(archive)).catch(
      async (error: unknown) => {
        await drain(archive)
        throw error
      },
    )
    return reply.code(204).send()
  })
  app.delete<NameParams>('/v1/volumes/:name', async (request, reply) => {
    await removeVolume(context, request.params.name)
    return reply.code(204).send()
  })
}

/** Leaving the loop early must not close the connection: the answer has to get through. */
async function* chunksOf(stream: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) yield chunk as Buffer
}

/** A client that still sends would see a broken pipe instead of the reason. */
async function drain(stream: Readable): Promise<void> {
  stream.resume()
  await finished(stream).catch(() => undefined)
}
