import type { FastifyInstance } from 'fastify'
import type {
  DownRequest,
  LifecycleRequest,
  PlanResponse,
  RunRequest,
  StackSummary,
  UpRequest,
} from '../../api/types.ts'
import { formatPlan } from '../../planner/format-plan.ts'
import type { Context } from '../../reconciler/context.ts'
import { containersOf } from '../../reconciler/observe.ts'
import { createOneOff } from '../../reconciler/one-off.ts'
import { rehearseDown, rehearseLifecycle, rehearseUp } from '../../reconciler/rehearse.ts'
import { lifecycle, planStack, upStack } from '../../reconciler/stack-operations.ts'
import { downStack } from '../../reconciler/take-down.ts'
import { TsstackError } from '../../errors.ts'
import { warnIfFollowed } from '../followed.ts'
import { streamProgress } from '../progress-stream.ts'
import { downRequest, lifecycleRequest, runRequest, upRequest } from '../request-schemas.ts'
import { parseBody } from '../validate.ts'
import { authorOf } from '../author.ts'
import { streamLogs } from './logs.ts'

export interface StackParams {
  Params: { stack: string }
}

export function stackRoutes(app: FastifyInstance, context: Context): void {
  app.get('/v1/stacks', () => summaries(context))

  app.post<StackParams>('/v1/stacks/:stack/plan', async (request): Promise<PlanResponse> => {
    const body: UpRequest = parseBody(upRequest, request.body)
    assertSameName(request.params.stack, body)
    const { plan, base } = await planStack(context, body)
    return { plan, base, text: formatPlan(plan) }
  })

  app.post<StackParams>('/v1/stacks/:stack/up', async (request, reply) => {
    const body: UpRequest = parseBody(upRequest, request.body)
    assertSameName(request.params.stack, body)
    await streamProgress(reply, (tell, signal) => {
      if (body.options.scale === undefined) warnIfFollowed(context, request.params.stack, tell)
      return body.dryRun === true
        ? rehearseUp(context, body, tell)
        : upStack(context, body, tell, { signal, author: authorOf(request) })
    })
  })

  app.post<StackParams>('/v1/stacks/:stack/down', async (request, reply) => {
    const body: DownRequest = parseBody(downRequest, request.body)
    const target = { stack: request.params.stack, request: body }
    await streamProgress(reply, (tell) => {
      warnIfFollowed(context, target.stack, tell)
      return (body.dryRun === true ? rehearseDown : downStack)(context, target, tell)
    })
  })

  app.post<StackParams>('/v1/stacks/:stack/lifecycle', async (request, reply) => {
    const body: LifecycleRequest = parseBody(lifecycleRequest, request.body)
    const target = { stack: request.params.stack, request: body, author: authorOf(request) }
    await streamProgress(reply, (tell, signal) =>
      (body.dryRun === true ? rehearseLifecycle : lifecycle)(context, { ...target, signal }, tell),
    )
  })

  app.post<StackParams>('/v1/stacks/:stack/run', async (request) => {
    const body: RunRequest = parseBody(runRequest, request.body)
    assertSameName(request.params.stack, body)
    return { id: await createOneOff(context, body) }
  })

  app.get<StackParams>('/v1/stacks/:stack/logs', async (request, reply) => {
    await streamLogs(context, { stack: request.params.stack, query: request.query, reply })
  })
}

function assertSameName(name: string, body: { readonly stack: { readonly name: string } }): void {
  if (name === body.stack.name) return
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use stack "${body.stack.name}": the path names "${name}"`,
  )
}

function summaries(context: Context): StackSummary[] {
  return context.stacks
    .values()
    .map(({ name, files }) => {
      const counts = new Map<string, number>()
      for (const { state } of containersOf(context, name))
        counts.set(state, (counts.get(state) ?? 0) + 1)
      const status = [...counts]
        .sort()
        .map(([state, count]) => `${state}(${count})`)
        .join(', ')
      return { name, status, configFiles: files }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
