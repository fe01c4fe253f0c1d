/** The images of this host, and the room that they take: what src/api/image-types.ts lists. */
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { LoadedImage, LoadFileAnswer } from '../../api/image-types.ts'
import type { LoadedImage as Loaded } from '../../engine/images/load-archive.ts'
import { familiarReference } from '../../engine/images/reference.ts'
import type { Context } from '../../reconciler/context.ts'
import {
  imageHistory,
  importImage,
  inspectImage,
  listImages,
  pruneImages,
  removeImages,
} from '../../reconciler/image-admin.ts'
import { diskUsage, diskUsageDetails, pruneSystem } from '../../reconciler/system-admin.ts'
import { archiveOf, drained } from '../archive-body.ts'
import {
  archiveQuery,
  importQuery,
  loadFileRequest,
  imagePruneQuery,
  nameQuery,
  removeImagesRequest,
  systemPruneRequest,
  tagRequest,
} from '../image-schemas.ts'
import { parseBody } from '../validate.ts'

const TAR = 'application/x-tar'

function toLoadedImage({ image, names }: Loaded): LoadedImage {
  return { id: image.id, names: names.map(familiarReference) }
}

function archiveRoutes(app: FastifyInstance, context: Context): void {
  const { archives } = context.images
  if (!app.hasContentTypeParser(TAR)) {
    app.addContentTypeParser(TAR, (_request, payload, done) => {
      done(null, payload)
    })
  }
  app.get('/v1/images/archive', (request, reply) => {
    const { names } = parseBody(archiveQuery, request.query)
    return reply.type(TAR).send(Readable.from(archives.save(names), { objectMode: false }))
  })
  app.post('/v1/images/archive', async (request) => {
    const loaded = await drained(archiveOf(request.body), (chunks) => archives.load(chunks))
    return loaded.map(toLoadedImage)
  })
  app.post('/v1/images/load', async (request): Promise<LoadFileAnswer> => {
    const loaded = await archives.loadFile(parseBody(loadFileRequest, request.body))
    return loaded === undefined ? {} : { loaded: loaded.map(toLoadedImage) }
  })
  app.post('/v1/images/import', (request) => {
    const options = parseBody(importQuery, request.query)
    return drained(archiveOf(request.body), (chunks) => importImage(context, chunks, options))
  })
}

export function imageRoutes(app: FastifyInstance, context: Context): void {
  archiveRoutes(app, context)
  app.get('/v1/images/list', () => listImages(context))
  app.get('/v1/images/detail', (request) =>
    inspectImage(context, parseBody(nameQuery, request.query).name),
  )
  app.get('/v1/images/history', (request) =>
    imageHistory(context, parseBody(nameQuery, request.query).name),
  )
  app.post('/v1/images/tag', async (request, reply) => {
    const { source, target } = parseBody(tagRequest, request.body)
    await context.images.tag(source, target)
    return reply.code(204).send()
  })
  app.post('/v1/images/remove', (request) =>
    removeImages(context, parseBody(removeImagesRequest, request.body)),
  )
  app.post('/v1/images/prune', (request) =>
    pruneImages(context, parseBody(imagePruneQuery, request.query)),
  )
  app.get('/v1/system/df', () => diskUsage(context))
  app.get('/v1/system/df/details', () => diskUsageDetails(context))
  app.post('/v1/system/prune', (request) =>
    pruneSystem(context, parseBody(systemPruneRequest, request.body)),
  )
}
