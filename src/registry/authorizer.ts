/**
 * Answers challenges: basic, and bearer tokens from the service that the registry names
 * (https://distribution.github.io/distribution/spec/auth/token/).
 *
 *   request ──▶ 401, WWW-Authenticate: Bearer realm=…,service=…,scope=…
 *           ──▶ GET realm?service=…&scope=…   with the user's credentials, or none
 *           ◀── { token }                     kept for that scope
 *   request with `Authorization: Bearer …` ──▶ 2xx
 */
import { TsstackError } from '../errors.ts'
import { parseChallenges, type Challenge } from './challenge.ts'
import { basicAuthorization, type Credentials } from './credentials.ts'
import { exchange, readBody, type HttpResponse, type Network } from './http-exchange.ts'
import { failureOfResponse } from './registry-error.ts'
import { isLoopback } from './registry-settings.ts'

export interface Authorizer {
  /** What to send along, as far as it is known. */
  readonly headerFor: (scopes: readonly string[]) => string | undefined
  /** @returns whether there is a new answer to the challenge of a 401 */
  readonly answer: (refused: RefusedRequest) => Promise<boolean>
}

export interface RefusedRequest {
  readonly response: HttpResponse
  readonly scopes: readonly string[]
  /** `Authorization`; another request may have found a better answer meanwhile. */
  readonly sent: string | undefined
}

const MAX_TOKEN_BYTES = 1 << 20
const CLIENT_ID = 'tsstack'

interface AuthorizerOptions {
  readonly network: Network
  readonly credentials: Credentials | undefined
  readonly signal: AbortSignal | undefined
}

/** Tokens and passwords go where nobody can listen in: over https, or on this machine as the registry itself. */
function realmOf({ parameters }: Challenge, registry: URL): URL {
  const text = parameters['realm'] ?? ''
  const realm = URL.canParse(text) ? new URL(text) : undefined
  const isHome = realm?.host === registry.host && realm.protocol === registry.protocol
  const isLocal = isLoopback(registry.host) && realm !== undefined && isLoopback(realm.host)
  if (realm !== undefined && (realm.protocol === 'https:' || isHome || isLocal)) return realm
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot log in to registry "${registry.host}": its token service "${text.slice(0, 200)}" is not https`,
  )
}

function tokenIn(bytes: Buffer, registry: URL): string {
  let document: unknown
  try {
    document = JSON.parse(bytes.toString('utf8'))
  } catch {
    document = undefined
  }
  const { token, access_token: accessToken } = (document ?? {}) as Record<string, unknown>
  const found = token ?? accessToken
  if (typeof found === 'string' && /^[\x21-\x7e]+$/.test(found)) return found
  throw new TsstackError(
    'UNAVAILABLE',
    `Cannot log in to registry "${registry.host}": its token service gave no token`,
  )
}

async function fetchToken(
  { network, credentials, signal }: AuthorizerOptions,
  challenge: Challenge,
  { registry, scopes }: { readonly registry: URL; readonly scopes: readonly string[] },
): Promise<string> {
  const realm = realmOf(challenge, registry)
  const { service = '', scope = '' } = challenge.parameters
  const wanted = [...new Set([...scopes, ...scope.split(' ')])].filter((text) => text !== '')
  let response: HttpResponse
  if (credentials !== undefined && 'identityToken' in credentials) {
    const form = new URLSearchParams({
      ...{ grant_type: 'refresh_token', refresh_token: credentials.identityToken },
      ...{ client_id: CLIENT_ID, service, scope: wanted.join(' ') },
    })
    const content = Buffer.from(form.toString())
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = { open: () => [content], length: content.length }
    response = await exchange(network, { method: 'POST', url: realm, headers, body, signal })
  } else {
    if (service !== '') realm.searchParams.set('service', service)
    for (const one of wanted) realm.searchParams.append('scope', one)
    const authorization =
      credentials && basicAuthorization(credentials.username, credentials.password)
    if (credentials !== undefined) realm.searchParams.set('account', credentials.username)
    response = await exchange(network, { method: 'GET', url: realm, authorization, signal })
  }
  if (response.status !== 200) throw await failureOfResponse(response, 'get a token')
  return tokenIn(await readBody(response, MAX_TOKEN_BYTES), registry)
}

/** For one registry and one user. Tokens are kept while it lives, by scope. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { credentials } = options
  const tokens = new Map<string, string>()
  let basic: string | undefined
  const headerFor = (scopes: readonly string[]): string | undefined => {
    const token = tokens.get(scopes.join(' '))
    return token === undefined ? basic : `Bearer ${token}`
  }
  return {
    headerFor,
    async answer({ response, scopes, sent }) {
      if (headerFor(scopes) !== sent) return true
      const challenges = parseChallenges(response.headers['www-authenticate'] ?? '')
      const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
      if (bearer !== undefined) {
        const place = { registry: response.url, scopes }
        tokens.set(scopes.join(' '), await fetchToken(options, bearer, place))
        return true
      }
      const isBasic = challenges.some(({ scheme }) => scheme === 'basic')
      if (!isBasic || credentials === undefined || 'identityToken' in credentials) return false
      if (basic !== undefined) return false // it was refused
      basic = basicAuthorization(credentials.username, credentials.password)
      return true
    },
  }
}
