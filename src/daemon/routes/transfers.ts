/** To and from registries: what src/api/image-types.ts lists. */
import type { FastifyInstance } from 'fastify'
import type { LoginAnswer } from '../../api/image-types.ts'
import { openRegistry } from '../../registry/open-registry.ts'
import { readRegistrySettings } from '../../registry/registry-settings.ts'
import type { Context } from '../../reconciler/context.ts'
import {
  listTags,
  pullImages,
  pullStack,
  pushImages,
  pushStack,
} from '../../reconciler/image-operations.ts'
import {
  loginRequest,
  pullRequest,
  pushRequest,
  tagsRequest,
  transferRequest,
} from '../image-schemas.ts'
import { streamProgress } from '../progress-stream.ts'
import { parseBody } from '../validate.ts'

interface StackParams {
  Params: { stack: string }
}

export function transferRoutes(app: FastifyInstance, context: Context): void {
  app.post<StackParams>('/v1/stacks/:stack/pull', async (request, reply) => {
    const body = parseBody(pullRequest, request.body)
    await streamProgress(reply, (tell, signal) => pullStack(context, body, { tell, signal }))
  })
  app.post<StackParams>('/v1/stacks/:stack/push', async (request, reply) => {
    const body = parseBody(pushRequest, request.body)
    await streamProgress(reply, (tell, signal) => pushStack(context, body, { tell, signal }))
  })
  app.post('/v1/images/pull', async (request, reply) => {
    const body = parseBody(transferRequest, request.body)
    await streamProgress(reply, (tell, signal) => pullImages(context, body, { tell, signal }))
  })
  app.post('/v1/images/push', async (request, reply) => {
    const body = parseBody(transferRequest, request.body)
    await streamProgress(reply, (tell, signal) => pushImages(context, body, { tell, signal }))
  })
  app.post('/v1/images/tags', (request) => listTags(context, parseBody(tagsRequest, request.body)))
  app.post('/v1/registries/login', async (request): Promise<LoginAnswer> => {
    const { registry: name, credentials } = parseBody(loginRequest, request.body)
    const settings = readRegistrySettings(process.env)
    const registry = openRegistry(name, { settings, credentials, isLogin: true })
    try {
      const identityToken = await registry.logIn()
      return identityToken === undefined ? {} : { identityToken }
    } finally {
      registry.close()
    }
  })
}
