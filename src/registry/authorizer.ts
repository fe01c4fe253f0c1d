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
  /** Of a login, where the token service has given one. */
  readonly identityToken: () => string | undefined
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
  readonly isLogin: boolean
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

interface Tokens {
  readonly token: string
  readonly refreshToken: string | undefined
}

/** Nothing that could be more than a header's value. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)
}

function tokensIn(bytes: Buffer, registry: URL): Tokens {
  let document: unknown
  try {
    document = JSON.parse(bytes.toString('utf8'))
  } catch {
    document = undefined
  }
  const fields = (document ?? {}) as Record<string, unknown>
  const { token = fields['access_token'], refresh_token: refresh } = fields
  if (isToken(token)) return { token, refreshToken: isToken(refresh) ? refresh : undefined }
  throw new TsstackError(
    'UNAVAILABLE',
    `Cannot log in to registry "${registry.host}": its token service gave no token`,
  )
}

/** What the registry wants beyond what is asked for already: `type:name:actions`. */
function othersIn(challenged: string, scopes: readonly string[]): string[] {
  const resourceOf = (scope: string): string => scope.replace(/:[^:]*$/, '')
  const known = scopes.map(resourceOf)
  return challenged.split(' ').filter((text) => text !== '' && !known.includes(resourceOf(text)))
}

async function fetchToken(
  { network, credentials, signal, isLogin }: AuthorizerOptions,
  challenge: Challenge,
  { registry, scopes }: { readonly registry: URL; readonly scopes: readonly string[] },
): Promise<Tokens> {
  const realm = realmOf(challenge, registry)
  const common = {
    url: realm,
    namedBy: realm.host === registry.host ? undefined : registry,
    signal,
  }
  const { service = '', scope = '' } = challenge.parameters
  const wanted = [...scopes, ...othersIn(scope, scopes)]
  let response: HttpResponse
  if (credentials !== undefined && 'identityToken' in credentials) {
    const form = new URLSearchParams({
      ...{ grant_type: 'refresh_token', refresh_token: credentials.identityToken },
      ...{ client_id: CLIENT_ID, service, scope: wanted.join(' ') },
    })
    const content = Buffer.from(form.toString())
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = { open: () => [content], length: content.length }
    response = await exchange(network, { ...common, method: 'POST', headers, body })
  } else {
    if (service !== '') realm.searchParams.set('service', service)
    for (const one of wanted) realm.searchParams.append('scope', one)
    const authorization =
      credentials && basicAuthorization(credentials.username, credentials.password)
    if (credentials !== undefined) realm.searchParams.set('account', credentials.username)
    if (isLogin) {
      realm.searchParams.set('client_id', CLIENT_ID)
      realm.searchParams.set('offline_token', 'true')
    }
    response = await exchange(network, { ...common, method: 'GET', authorization })
  }
  if (response.status !== 200) {
    const asked = { home: registry, hasLogin: credentials !== undefined }
    throw await failureOfResponse(response, 'get a token', asked)
  }
  return tokensIn(await readBody(response, MAX_TOKEN_BYTES), registry)
}

/** For one registry and one user. Tokens are kept while it lives, by scope. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { credentials } = options
  const tokens = new Map<string, string>()
  /** Requests that are refused together ask once. */
  const asked = new Map<string, Promise<Tokens>>()
  let identityToken: string | undefined
  let basic: string | undefined
  const headerFor = (scopes: readonly string[]): string | undefined => {
    const token = tokens.get(scopes.join(' '))
    return token === undefined ? basic : `Bearer ${token}`
  }
  return {
    headerFor,
    identityToken: () => identityToken,
    async answer({ response, scopes, sent }) {
      if (headerFor(scopes) !== sent) return true
      const challenges = parseChallenges(response.headers['www-authenticate'] ?? '')
      const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
      if (bearer !== undefined) {
        const key = scopes.join(' ')
        const place = { registry: response.url, scopes }
        const fetching = asked.get(key) ?? fetchToken(options, bearer, place)
        asked.set(key, fetching)
        try {
          const { token, refreshToken } = await fetching
          tokens.set(key, token)
          identityToken = refreshToken
        } finally {
          asked.delete(key)
        }
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
