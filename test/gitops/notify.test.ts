import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { notify, type SourceNews } from '../../src/gitops/notify.ts'
import { eventually } from '../eventually.ts'
import { gitSource } from './git-source.ts'

const SECRET = 'not told to anybody'
const received: { readonly request: IncomingMessage; readonly body: string }[] = []
const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8').on('data', (text: string) => (body += text))
  request.on('end', () => {
    received.push({ request, body })
    // The first time it is busy.
    response.writeHead(received.length === 1 ? 503 : 204).end()
  })
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

test('notify() signs what it tells, and tries again until somebody takes it', async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const urls = [`http://127.0.0.1:${String(port)}/told`]
  const source = { ...gitSource('file:///x.git'), webhookSecret: SECRET, notify: urls }
  const time = '2026-01-01T00:00:00.000Z'
  const news: SourceNews = {
    ready: 'False',
    reason: 'RolledBack',
    message: 'why',
    commit: '',
    time,
  }
  notify({ ...source, suspended: false }, news)
  await eventually('a second try', () => received.length === 2)
  const [first, second] = received
  expect(second?.body).toBe(first?.body)
  const mac = createHmac('sha256', SECRET)
    .update(second?.body ?? '')
    .digest('hex')
  expect(second?.request.headers['x-hub-signature-256']).toBe(`sha256=${mac}`)
  expect(second?.body).not.toContain(SECRET)
  expect(JSON.parse(second?.body ?? '')).toMatchObject({ source: 'shop', reason: 'RolledBack' })
})
