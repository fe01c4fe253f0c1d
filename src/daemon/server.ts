/** HTTP on the socket: routes, errors, limits. Decides nothing. */
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import type { Context } from '../reconciler/context.ts'
import { ERROR_CODES, TsstackError, toTsstackError } from '../errors.ts'
import { log } from '../log.ts'
import { versionHeader, VERSION_HEADER } from '../version.ts'
import { containerFileRoutes } from './routes/container-files.ts'
import { containerRoutes } from './routes/containers.ts'
import { engineRoutes } from './routes/engine.ts'
import { imageRoutes } from './routes/images.ts'
import { networkRoutes } from './routes/networks.ts'
import { revisionRoutes } from './routes/revisions.ts'
import { statusRoutes } from './routes/status.ts'
import { stackRoutes } from './routes/stacks.ts'
import { buildRoutes } from './routes/builds.ts'
import { transferRoutes } from './routes/transfers.ts'
import { volumeRoutes } from './routes/volumes.ts'
import { watchRoutes } from './routes/watch.ts'
import { parseTraceparent, withTraceContext } from './telemetry/trace-context.ts'
import { acceptSessions } from './sessions.ts'

/** A stack of thousands of services with its configs and secrets. */
const MAX_BODY_BYTES = 64 << 20

export interface ServerOptions {
  readonly stateDir: string
  readonly leaving: AbortSignal
}

export function createServer(
  context: Context,
  { stateDir, leaving }: ServerOptions,
): FastifyInstance {
  const app = Fastify({ logger: false, bodyLimit: MAX_BODY_BYTES, forceCloseConnections: true })
  app.decorate('leaving', leaving)
  app.addHook('onRequest', (request, reply, done) => {
    reply.header(VERSION_HEADER, versionHeader())
    withTraceContext(parseTraceparent(singleHeader(request.headers['traceparent'])), done)
  })
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const failure = toFailure(error)
    if (failure.code === 'INTERNAL')
      log.error('request failed', {
        method: request.method,
        url: request.url,
        error,
        stack: error.stack,
      })
    return reply.code(ERROR_CODES[failure.code].http).send(failure.toBody())
  })
  app.setNotFoundHandler((request, reply) => {
    const failure = new TsstackError('NOT_FOUND', `Cannot find ${request.method} ${request.url}`)
    return reply.code(404).send(failure.toBody())
  })
  engineRoutes(app, context, stateDir)
  networkRoutes(app, context)
  volumeRoutes(app, context)
  stackRoutes(app, context)
  revisionRoutes(app, context)
  statusRoutes(app, context)
  containerRoutes(app, context)
  containerFileRoutes(app, context)
  imageRoutes(app, context)
  transferRoutes(app, context)
  buildRoutes(app, context)
  watchRoutes(app, context)
  acceptSessions(app.server, context)
  return app
}

function singleHeader(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** What fastify itself refuses (body too large, no JSON) is the client's mistake. */
function toFailure(error: FastifyError): TsstackError {
  if (
    !(error instanceof TsstackError) &&
    error.statusCode !== undefined &&
    error.statusCode < 500
  ) {
    return new TsstackError('INVALID_ARGUMENT', `Cannot read request: ${error.message}`, {
      cause: error,
    })
  }
  return toTsstackError(error)
}
