/**
 * One exchange over HTTP with a host that is not trusted: headers bounded, redirects few and only to where no one can
 * listen in (https, or the same host), credentials never to another host, silence not waited for.
 */
import http, { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https from 'node:https'
import { Readable } from 'node:stream'
import { TsstackError, toTsstackError } from '../errors.ts'
import { TransientError } from './transient-error.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  /** The registry that has named the URL, where it is another host: it may not send us to our own. */
  readonly namedBy?: URL | undefined
  /** Told to the first host only. */
  readonly authorization?: string | undefined
  readonly body?: RequestBody
  /** How long the host may say nothing, in milliseconds. Default: a minute. */
  readonly silenceMs?: number
  readonly signal?: AbortSignal | undefined
}

export interface RequestBody {
  /** From the start, once for each time that it is sent. */
  readonly open: () => Iterable<Buffer> | AsyncIterable<Buffer>
  /** Bytes. */
  readonly length: number
}

export interface HttpResponse {
  readonly method: HttpRequest['method']
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Where it came from in the end. */
  readonly url: URL
  /** Must be read to its end or destroyed. */
  readonly body: IncomingMessage
}

export interface Network {
  /**
   * The agent that reaches this URL: its certificates, its proxy.
   * @param namedBy - the registry that has sent us there
   * @throws {PERMISSION_DENIED} to an address of this host
   */
  readonly agentFor: (url: URL, namedBy: URL | undefined) => http.Agent
  /** Where certificates of authorities are looked for. */
  readonly certsDir: string
  readonly close: () => void
}

const MAX_HEADER_BYTES = 32 << 10
const MAX_REDIRECTS = 5
const MAX_PASSED_BYTES = 64 << 10
const SILENCE_MS = 60_000
const CONNECT_MS = 15_000
/** For all of a small body, however it trickles. */
const SMALL_BODY_MS = 120_000
const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** Come and go. */
const PASSING = new Set([
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ERR_STREAM_PREMATURE_CLOSE'],
  ...['ECONNABORTED', 'EHOSTUNREACH', 'ENETUNREACH', 'HPE_INVALID_EOF_STATE'],
])

const NO_HTTPS =
  'It does not speak https; name it in TSSTACK_INSECURE_REGISTRIES of the daemon if plain HTTP will do'

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}

function certificateFailure(host: string, certsDir: string, cause: unknown): TsstackError {
  const code = codeOf(cause)
  if (code.includes('_ALERT_')) {
    const hint = `Put a certificate that it knows into ${certsDir}/${host}/client.cert, its key into client.key`
    const message = `Cannot reach registry "${host}": it wants a certificate of ours (${code})`
    return new TsstackError('FAILED_PRECONDITION', message, { cause, hint })
  }
  const isOtherName = code === 'ERR_TLS_CERT_ALTNAME_INVALID'
  const state = isOtherName ? 'is for another name' : `is not trusted (${code})`
  const hint = isOtherName
    ? 'Use a name that its certificate has'
    : `Put the certificate of its authority into ${certsDir}/${host}/ca.crt`
  const message = `Cannot reach registry "${host}": its certificate ${state}`
  return new TsstackError('FAILED_PRECONDITION', message, { cause, hint })
}

/** What a failed connection means. */
function connectionFailure({ url, namedBy }: HttpRequest, cause: unknown): TsstackError {
  if (cause instanceof TsstackError) {
    if (cause.code !== 'PERMISSION_DENIED') return cause
    const state = `it sends us to "${url.host}", which is this host or link-local`
    const object = `Cannot follow registry "${namedBy?.host ?? ''}"`
    return new TsstackError('FAILED_PRECONDITION', `${object}: ${state}`, { cause })
  }
  const { code = '', message } = cause as NodeJS.ErrnoException
  const object = `Cannot reach registry "${url.host}"`
  if (code === 'ABORT_ERR') return new TsstackError('CANCELLED', 'Cancelled', { cause })
  if (PASSING.has(code)) return new TransientError(`${object}: ${code}`, { cause })
  const isOverflow = code === 'HPE_HEADER_OVERFLOW'
  const state = isOverflow ? 'its headers are too large' : code === '' ? message : code
  return new TsstackError('UNAVAILABLE', `${object}: ${state}`, {
    cause,
    ...(code === 'ECONNREFUSED'
      ? { hint: 'Nothing listens there; check the name and the port' }
      : {}),
    ...(code === 'EPROTO' ? { hint: NO_HTTPS } : {}),
    ...(code === 'ENOTFOUND' ? { hint: 'No such host; check the name and the network' } : {}),
  })
}

/** Nobody waits for the many minutes that the kernel tries. */
function limitConnecting(outgoing: ClientRequest, { url }: HttpRequest): void {
  outgoing.once('socket', (socket) => {
    if (!socket.connecting) return
    const timer = setTimeout(() => {
      outgoing.destroy(new TransientError(`Cannot reach registry "${url.host}": no answer`))
    }, CONNECT_MS)
    const clear = (): void => {
      clearTimeout(timer)
    }
    socket.once('connect', clear)
    outgoing.once('close', clear)
  })
}

function agentFor({ agentFor }: Network, request: HttpRequest): http.Agent {
  try {
    return agentFor(request.url, request.namedBy)
  } catch (error) {
    throw connectionFailure(request, error)
  }
}

function send(network: Network, request: HttpRequest): Promise<IncomingMessage> {
  const { url, body, signal } = request
  const { request: open } = url.protocol === 'https:' ? https : http
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const outgoing = open(url, {
    method: request.method,
    agent: agentFor(network, request),
    maxHeaderSize: MAX_HEADER_BYTES,
    timeout: request.silenceMs ?? SILENCE_MS,
    headers: {
      'user-agent': 'tsstack',
      ...request.headers,
      ...(request.authorization === undefined ? {} : { authorization: request.authorization }),
      ...(body === undefined ? {} : { 'content-length': String(body.length) }),
    },
    ...(signal === undefined ? {} : { signal }),
  })
  outgoing.on('error', (error) => {
    const isUntrusted = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/.test(codeOf(error))
    const { certsDir } = network
    if (isUntrusted) reject(certificateFailure(url.host, certsDir, error))
    else reject(connectionFailure(request, error))
  })
  limitConnecting(outgoing, request)
  outgoing.on('timeout', () => {
    outgoing.destroy(new TransientError(`Cannot reach registry "${url.host}": it is silent`))
  })
  const source = body && Readable.from(body.open(), { objectMode: true, highWaterMark: 2 })
  outgoing.on('response', (incoming) => {
    // Who answers before it has heard all wants no more of it.
    if (!outgoing.writableEnded) {
      source?.destroy()
      incoming.on('end', () => outgoing.destroy())
    }
    resolve(incoming)
  })
  source?.on('error', (error) => outgoing.destroy(toTsstackError(error)))
  outgoing.on('close', () => source?.destroy())
  if (source === undefined) outgoing.end()
  else source.pipe(outgoing)
  return promise
}

/** @throws {FAILED_PRECONDITION} to where someone could listen in */
function redirectTarget(from: URL, location: string | undefined): URL {
  const refuse = (state: string): TsstackError =>
    new TsstackError('FAILED_PRECONDITION', `Cannot follow registry "${from.host}": ${state}`)
  if (location === undefined) throw refuse('it redirects to nowhere')
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (to === undefined) throw refuse('it redirects to something that is no URL')
  // Behind a proxy a registry may not know that it is spoken to by https.
  if (from.protocol === 'https:' && to.host === from.host) to.protocol = 'https:'
  const isSame = to.protocol === from.protocol && to.host === from.host
  if (to.protocol !== 'https:' && !isSame)
    throw refuse(`it redirects to "${to.protocol}//${to.host}", which is not https`)
  return to
}

/** Checks where a registry sends us on with `Location`, as for a redirect. @throws {FAILED_PRECONDITION} */
export function nextLocation({ url, headers }: HttpResponse): URL {
  return redirectTarget(url, headers.location)
}

/** Gives up a body that nobody wants to read. One that is small passes by, so that the connection can be used again. */
export function discard({ method, body, headers }: HttpResponse): void {
  const length = method === 'HEAD' ? 0 : Number(headers['content-length'] ?? Infinity)
  if (length > MAX_PASSED_BYTES) body.destroy()
  body.on('error', () => undefined).resume()
}

/**
 * Sends a request, and follows redirects of those without a body.
 * @throws {UNAVAILABLE} TransientError when another attempt may help
 * @throws {CANCELLED} by the signal
 */
export async function exchange(network: Network, request: HttpRequest): Promise<HttpResponse> {
  let { url } = request
  for (let redirects = 0; ; redirects++) {
    const isHome = url.host === request.url.host && url.protocol === request.url.protocol
    const authorization = isHome ? request.authorization : undefined
    const namedBy = isHome ? request.namedBy : (request.namedBy ?? request.url)
    const body = await send(network, { ...request, url, authorization, namedBy })
    const { method } = request
    const response = { method, status: body.statusCode ?? 0, headers: body.headers, url, body }
    const mayFollow = method === 'GET' || method === 'HEAD'
    if (!mayFollow || !REDIRECTS.has(response.status)) return response
    discard(response)
    if (redirects === MAX_REDIRECTS) {
      throw new TsstackError(
        'FAILED_PRECONDITION',
        `Cannot follow registry "${request.url.host}": it redirects more than ${MAX_REDIRECTS} times`,
      )
    }
    url = redirectTarget(url, response.headers.location)
  }
}

/**
 * The chunks of a body; a connection that is cut or silent is a TransientError.
 * Ending early closes the connection.
 */
export async function* chunksOf({ body, url }: HttpResponse): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) yield chunk
  } catch (error) {
    if (error instanceof TsstackError) throw error
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'ABORT_ERR') throw new TsstackError('CANCELLED', 'Cancelled', { cause: error })
    throw new TransientError(`Cannot read from registry "${url.host}": the connection was cut`, {
      cause: error,
    })
  } finally {
    body.destroy()
  }
}

/** A whole body that is small. @throws {INVALID_ARGUMENT} larger than `limit` bytes; {UNAVAILABLE} it takes minutes */
export async function readBody(response: HttpResponse, limit: number): Promise<Buffer> {
  const tooLarge = (): TsstackError =>
    new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot read from registry "${response.url.host}": the answer is larger than ${limit} bytes`,
    )
  if (Number(response.headers['content-length'] ?? 0) > limit) {
    response.body.destroy()
    throw tooLarge()
  }
  const parts: Buffer[] = []
  let size = 0
  const timer = setTimeout(() => response.body.destroy(new Error('too slow')), SMALL_BODY_MS)
  try {
    for await (const chunk of chunksOf(response)) {
      size += chunk.length
      if (size > limit) throw tooLarge()
      parts.push(chunk)
    }
  } finally {
    clearTimeout(timer)
  }
  return Buffer.concat(parts)
}
