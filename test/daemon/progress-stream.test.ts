import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import { afterEach, expect, test } from 'vitest'
import { streamProgress, type ToldWork } from '../../src/daemon/progress-stream.ts'
import type { ProgressEvent } from '../../src/api/types.ts'

const app = fastify()
afterEach(() => app.close())

function operation(status: 'started' | 'progress' | 'done', detail: string): ProgressEvent {
  return { type: 'operation', id: 1, resource: 'step', name: 'RUN', action: 'RUN', status, detail }
}

/** The answer to a request that causes this work; nothing of it has been read. */
async function answerOf(work: ToldWork): Promise<IncomingMessage> {
  app.decorate('leaving', new AbortController().signal)
  app.get('/', (_, reply) => streamProgress(reply, work))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const sent = request({ host: '127.0.0.1', port }).end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  return answer
}

test('progress that nobody reads is left out, what begins and ends is not', async () => {
  const lines = 5000
  const line = 'x'.repeat(4096)
  let worked = (): void => undefined
  const done = new Promise<void>((resolve) => {
    worked = resolve
  })
  const answer = await answerOf((tell) => {
    tell(operation('started', ''))
    for (let count = 0; count < lines; count++) tell(operation('progress', line))
    tell(operation('done', ''))
    worked()
    return Promise.reject(new Error('the step failed'))
  })
  await done
  let text = ''
  for await (const chunk of answer) text += String(chunk)
  const events = text
    .trimEnd()
    .split('\n')
    .map((each) => JSON.parse(each) as ProgressEvent)
  const told = events.filter((event) => event.type === 'operation' && event.status === 'progress')
  expect(told.length).toBeLessThan(1000)
  expect(events[0]).toMatchObject({ status: 'started' })
  expect(events.slice(-3)).toMatchObject([
    { status: 'done' },
    { type: 'warning', message: expect.stringContaining(String(lines - told.length)) as string },
    { type: 'error' },
  ])
})
