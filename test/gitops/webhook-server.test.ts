import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { listenForWebhooks } from '../../src/gitops/webhook-server.ts'

const SECRET = 'correct horse'
const BODY = '{"ref":"refs/heads/main"}'
const MAC = createHmac('sha256', SECRET).update(BODY).digest('hex')

describe('listenForWebhooks()', () => {
  let server: Server
  let triggered: string[] = []
  beforeEach(async () => {
    triggered = []
    server = await listenForWebhooks('127.0.0.1:0', {
      secretOf: (name) => (name === 'shop' ? SECRET : undefined),
      trigger: (name) => triggered.push(name),
    })
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  const post = async (headers: Record<string, string>, path = '/hooks/shop', body = BODY) => {
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${String(port)}${path}`
    return (await fetch(url, { method: 'POST', headers, body })).status
  }

  test.each([
    ['GitHub', { 'x-hub-signature-256': `sha256=${MAC}` }],
    ['Gitea', { 'x-gitea-signature': MAC }],
    ['Forgejo', { 'x-forgejo-signature': MAC }],
    ['GitLab', { 'x-gitlab-token': SECRET }],
  ])('a webhook of %s has the source looked at', async (_, headers) => {
    expect(await post(headers)).toBe(202)
    expect(triggered).toEqual(['shop'])
  })

  test.each([
    ['no signature', {}, '/hooks/shop', BODY],
    [
      'a signature of something else',
      { 'x-hub-signature-256': `sha256=${MAC}` },
      '/hooks/shop',
      '{}',
    ],
    ['a signature without its name', { 'x-hub-signature-256': MAC }, '/hooks/shop', BODY],
    ['a wrong token', { 'x-gitlab-token': 'wrong' }, '/hooks/shop', BODY],
    ['an unknown source', { 'x-gitlab-token': SECRET }, '/hooks/other', BODY],
  ])('%s is refused', async (_, headers: Record<string, string>, path, body) => {
    expect(await post(headers, path, body)).toBe(401)
    expect(triggered).toEqual([])
  })

  test('who is refused again and again is not listened to for a while', async () => {
    const statuses: number[] = []
    for (let index = 0; index < 25; index++) statuses.push(await post({ 'x-gitlab-token': 'x' }))
    expect(statuses.slice(0, 20).every((status) => status === 401)).toBe(true)
    expect(statuses.at(-1)).toBe(429)
    expect(await post({ 'x-gitlab-token': SECRET })).toBe(429)
  })

  test('behind a proxy on this host, who is refused again and again keeps out nobody else', async () => {
    const bad = { 'x-gitlab-token': 'x' }
    for (let index = 0; index < 25; index++)
      await post({ ...bad, 'x-forwarded-for': `203.0.113.${String(index)}, 198.51.100.1` })
    expect(await post({ ...bad, 'x-forwarded-for': '198.51.100.1' })).toBe(429)
    const good = { 'x-gitlab-token': SECRET, 'x-forwarded-for': '198.51.100.1, 192.0.2.7' }
    expect(await post(good)).toBe(202)
  })

  test('who asks slowly is let go of', async () => {
    const impatient = await listenForWebhooks(
      '127.0.0.1:0',
      { secretOf: () => SECRET, trigger: () => undefined },
      200,
    )
    const { port } = impatient.address() as AddressInfo
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    socket.write('POST /hooks/shop HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n')
    await once(socket.resume(), 'close')
    impatient.close()
  })

  test('a body without end is cut off', async () => {
    const huge = 'x'.repeat(3 << 20)
    const outcome = await post({}, '/hooks/shop', huge).catch(() => 'cut off')
    expect([413, 'cut off']).toContain(outcome)
    expect(triggered).toEqual([])
  })
})
