/** The files of containers: what src/api/file-types.ts lists. */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import {
  changedFiles,
  exportContainer,
  type OpenedArchive,
} from '../../reconciler/container-changes.ts'
import type { Context } from '../../reconciler/context.ts'
import { copyFromContainer, copyIntoContainer, fileState } from '../../reconciler/container-copy.ts'
import { commitContainer } from '../../reconciler/commit-container.ts'
import { findContainer } from '../../reconciler/find-container.ts'

import { commitRequest, copyIntoQuery, copyQuery, stateQuery } from '../file-schemas.ts'
import { archiveOf, drained } from '../archive-body.ts'
import { parseBody } from '../validate.ts'

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
  app.post<ContainerParams>('/v1/containers/:id/commit', (request) =>
    commitContainer(
      context,
      findContainer(context, request.params.id).id,
      parseBody(commitRequest, request.body),
    ),
  )
  app.get<ContainerParams>('/v1/containers/:id/files/state', (request) => {
    const { path } = parseBody(stateQuery, request.query)
    return fileState(context, findContainer(context, request.params.id).id, path)
  })
  app.get<ContainerParams>('/v1/containers/:id/files', async (request, reply) => {
    const query = parseBody(copyQuery, request.query)
    const { id } = findContainer(context, request.params.id)
    return reply.type(TAR).send(streamOf(await copyFromContainer(context, id, query)))
  })
  app.post<ContainerParams>('/v1/containers/:id/files', async (request, reply) => {
    const { path: directory, keepIds } = parseBody(copyIntoQuery, request.query)
    const { id } = findContainer(context, request.params.id)
    await drained(archiveOf(request.body), (chunks) =>
      copyIntoContainer(context, id, { directory, keepIds, chunks }),
    )
    return reply.code(204).send()
  })
}
