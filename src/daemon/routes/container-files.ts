/** The files of containers: what src/api/file-types.ts lists. */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import {
  changedFiles,
  exportContainer,
  type OpenedArchive,
} from '../../reconciler/container-changes.ts'
import type { Context } from '../../reconciler/context.ts'
import { findContainer } from '../../reconciler/find-container.ts'

const TAR = 'application/x-tar'

interface ContainerParams {
  Params: { id: string }
}

/** Closed with the answer, be it that nobody has read any of it. */
function streamOf({ chunks, close }: OpenedArchive): Readable {
  return Readable.from(chunks, { objectMode: false }).once('close', close)
}

export function containerFileRoutes(app: FastifyInstance, context: Context): void {
  app.get<ContainerParams>('/v1/containers/:id/changes', (request) =>
    changedFiles(context, findContainer(context, request.params.id).id),
  )
  app.get<ContainerParams>('/v1/containers/:id/export', async (request, reply) => {
    const archive = await exportContainer(context, findContainer(context, request.params.id).id)
    return reply.type(TAR).send(streamOf(archive))
  })
}
