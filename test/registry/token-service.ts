/**
 * A token service for docker-registry (https://distribution.github.io/distribution/spec/auth/token/): looks at user,
 * password and scopes, and signs with a key whose certificate the registry knows.
 */
import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import type { TokenService } from '../registry-fixture.ts'
import { makeAuthority } from './certificates.ts'

const USER = 'anna'
const PASSWORD = 'secret'
export const CREDENTIALS = { username: USER, password: PASSWORD }
/** docker-registry takes tokens for so long after their end. */
const LEEWAY_SECONDS = 60

export interface TokenFixture extends TokenService {
  /** `GET scope scope` for each request that was answered with a token. */
  readonly given: string[]
  /** For how long the registry takes the next token. Default: a minute and more. */
  nextLastsMs: number | undefined
  close(): void
}

function base64(value: unknown): string {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))
  return bytes.toString('base64url')
}

/** `repository:team/app:pull,push` as the token has it; who is nobody may read only what is public. */
function accessTo(scope: string, isKnown: boolean): readonly unknown[] {
  const [type, name = '', actions = ''] = scope.split(':')
  if (!isKnown && !name.startsWith('public/')) return []
  const allowed = actions.split(',').filter((action) => isKnown || action === 'pull')
  return [{ type, name, actions: allowed }]
}

export async function startTokenService(directory: string): Promise<TokenFixture> {
  const { certificate, key } = makeAuthority(directory, 'tokens')
  const privateKey = createPrivateKey(readFileSync(key))
  const x5c = [new X509Certificate(readFileSync(certificate)).raw.toString('base64')]

  function tokenFor(scopes: readonly string[], isKnown: boolean): string {
    const now = Math.floor(Date.now() / 1000)
    const { nextLastsMs } = fixture
    fixture.nextLastsMs = undefined
    const end =
      nextLastsMs === undefined
        ? now + 60
        : Math.ceil((Date.now() + nextLastsMs) / 1000) - LEEWAY_SECONDS
    const claims = {
      ...{ iss: fixture.issuer, aud: fixture.service, sub: isKnown ? USER : '', jti: randomUUID() },
      ...{ iat: now - 120, nbf: now - 120, exp: end },
      access: scopes.flatMap((scope) => accessTo(scope, isKnown)),
    }
    const signed = `${base64({ typ: 'JWT', alg: 'ES256', x5c })}.${base64(claims)}`
    const signature = sign('sha256', Buffer.from(signed), {
      key: privateKey,
      dsaEncoding: 'ieee-p1363',
    })
    return `${signed}.${base64(signature)}`
  }

  const refreshToken = randomUUID()
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const basic = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`
    const { authorization } = request.headers
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      const form = new URLSearchParams(body)
      const isRefresh = request.method === 'POST' && form.get('refresh_token') === refreshToken
      const isKnown = isRefresh || authorization === basic
      if ((authorization !== undefined || request.method === 'POST') && !isKnown) {
        response.writeHead(401).end('{"errors":[{"code":"UNAUTHORIZED"}]}')
        return
      }
      const scopes = isRefresh
        ? (form.get('scope') ?? '').split(' ')
        : url.searchParams.getAll('scope')
      fixture.given.push([request.method, ...scopes].join(' '))
      const offline = url.searchParams.get('offline_token') === 'true' && isKnown
      const more = offline ? { refresh_token: refreshToken } : {}
      response.end(JSON.stringify({ token: tokenFor(scopes, isKnown), ...more }))
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const fixture: TokenFixture = {
    ...{ service: 'registry of the test', issuer: 'the test', certificate, given: [] },
    realm: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/token`,
    nextLastsMs: undefined,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
  return fixture
}
