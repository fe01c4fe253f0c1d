import type { FastifyInstance, FastifyReply } from 'fastify'
import { once } from 'node:events'
import type { StackStatus, SuspendRequest } from '../../api/status-types.ts'
import type { Context } from '../../reconciler/context.ts'
import { lasting, resume, suspend } from '../../reconciler/loop/interventions.ts'
import { whoAndWhy } from '../../reconciler/loop/tell-by-hand.ts'
import { statusOf } from '../../reconciler/loop/status.ts'
import { authorOf } from '../author.ts'
import { streamLines } from '../ndjson.ts'
import { statusQuery, suspendRequest } from '../request-schemas.ts'
import { parseBody } from '../validate.ts'
import type { StackParams } from './stacks.ts'

export function statusRoutes(app: FastifyInstance, context: Context): void {
  app.get<StackParams>('/v1/stacks/:stack/status', async (request, reply) => {
    const { stack } = request.params
    const { follow } = parseBody(statusQuery, request.query)
    const status = statusOf(context, stack) // before the stream: an unknown stack is an error of its own
    if (follow !== true) return status
    await followStatus(context, stack, reply)
    return reply
  })

  app.post<StackParams>('/v1/stacks/:stack/suspend', async (request, reply) => {
    const { stack } = request.params
    const manner: SuspendRequest = parseBody(suspendRequest, request.body)
    statusOf(context, stack)
    const suspension = { author: authorOf(request), ...lasting(manner) }
    suspend(context.interventions, stack, suspension)
    tell(context, stack, 'suspend', whoAndWhy(suspension))
    context.loop.request(stack)
    return reply.code(204).send()
  })

  app.post<StackParams>('/v1/stacks/:stack/resume', async (request, reply) => {
    const { stack } = request.params
    statusOf(context, stack)
    resume(context.interventions, stack)
    tell(context, stack, 'resume', { author: authorOf(request) })
    context.loop.request(stack)
    return reply.code(204).send()
  })
}

function tell(
  context: Context,
  stack: string,
  action: string,
  attributes: Readonly<Record<string, string>>,
): void {
  context.events.emit({ type: 'stack', action, stack, id: stack, attributes })
}

/** Ends with the client, or with the stack. */
async function followStatus(context: Context, stack: string, reply: FastifyReply): Promise<void> {
  await streamLines(reply, async ({ write, signal }) => {
    let last = ''
    const show = (): void => {
      if (context.stacks.get(stack) === undefined) return
      const status: StackStatus = statusOf(context, stack)
      const { lookedAt, ...lasting } = status
      const text = JSON.stringify(lasting)
      if (text === last) return
      last = text
      void write([status])
    }
    // Events tell what happens before the record says so; look when the turn is over.
    const stopEvents = context.events.subscribe((event) => {
      if (event.stack === stack) setImmediate(show)
    })
    const stopLoop = context.loop.onChange((changed) => {
      if (changed === stack) setImmediate(show)
    })
    show()
    if (!signal.aborted) await once(signal, 'abort')
    stopEvents()
    stopLoop()
  })
}
