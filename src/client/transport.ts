/**
 * HTTP/1.1 over a unix socket with node:http alone: JSON, streams of newline-delimited JSON, and upgrades to frames.
 * Everything that comes back is bounded, and every failure is a TsstackError.
 */
import { request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { pipeline, type Readable } from 'node:stream'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { ERROR_CODES, toTsstackError, TsstackError } from '../errors.ts'
import type { ErrorBody, ErrorCode } from '../errors.ts'
import { API_VERSION, VERSION, VERSION_HEADER } from '../version.ts'

const MAX_BODY_BYTES = 64 << 20
const MAX_LINE_BYTES = 16 << 20

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Path and query. */
  readonly path: string
  readonly body?: unknown
  /** Instead of a body: bytes as they come, a tar archive. */
  readonly source?: Readable
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

export interface Transport {
  /** @throws {TsstackError} what the daemon answered, or {UNAVAILABLE} when it does not */
  json(call: Call): Promise<unknown>
  /** Items in batches, as they arrive. An item of type `error` ends the stream and is thrown. */
  stream(call: Call): AsyncGenerator<readonly unknown[], void>
  /** The body of the answer as it comes. */
  bytes(call: Call): Promise<Readable>
  /** The socket after `101 Switching Protocols`. */
  upgrade(call: Call): Promise<{ readonly socket: Socket; readonly head: Buffer }>
}

interface TransportOptions {
  readonly socket: string
  /** Called once when daemon and client are of different releases that still understand each other. */
  readonly onVersionMismatch: (daemonVersion: string) => void
}

function isErrorBody(value: unknown): value is ErrorBody {
  if (typeof value !== 'object' || value === null) return false
  const { code, message } = value as Partial<Record<keyof ErrorBody, unknown>>
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) && typeof message === 'string'
}

function toError(body: unknown, fallback: string): TsstackError {
  if (!isErrorBody(body)) return new TsstackError('INTERNAL', fallback)
  return new TsstackError(body.code, body.message, {
    ...(typeof body.hint === 'string' ? { hint: body.hint } : {}),
    ...(typeof body.exitCode === 'number' ? { exitCode: body.exitCode } : {}),
  })
}

/** What a failed connection means to the user. */
export function connectionError(socket: string, error: NodeJS.ErrnoException): TsstackError {
  const states: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
    ENOENT: ['UNAVAILABLE', 'it is not running', 'start it with "tsstack daemon start"'],
    ECONNREFUSED: ['UNAVAILABLE', 'it is not running', 'start it with "tsstack daemon start"'],
    ECONNRESET: [
      'UNAVAILABLE',
      'it went away',
      'see "tsstack daemon status" and the log that it names',
    ],
    EACCES: [
      'PERMISSION_DENIED',
      'permission denied',
      'run as root, or as a member of the group that the socket belongs to',
    ],
  }
  const [code, state, hint] = states[error.code ?? ''] ?? [
    'UNAVAILABLE',
    error.message,
    'see "tsstack daemon status"',
  ]
  return new TsstackError(code, `Cannot reach the daemon on "${socket}": ${state}`, {
    cause: error,
    hint,
  })
}

function checkVersion(response: IncomingMessage, options: TransportOptions): void {
  const header = response.headers[VERSION_HEADER]
  if (typeof header !== 'string') return
  const [version = '', api = ''] = header.split(' ')
  if (api !== API_VERSION) {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot talk to the daemon: it is version ${version} (API ${api}), this is ${VERSION} (API ${API_VERSION})`,
      {
        hint: 'run "tsstack daemon restart"; containers keep running',
      },
    )
  }
  if (version !== VERSION) options.onVersionMismatch(version)
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) {
      response.destroy()
      throw new TsstackError(
        'INTERNAL',
        `Cannot read the daemon's answer: more than ${String(MAX_BODY_BYTES)} bytes`,
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new TsstackError('INTERNAL', "Cannot read the daemon's answer: not JSON", {
      cause: error,
    })
  }
}

/** The trace that the caller belongs to, as build servers pass it on (W3C Trace Context). */
function traceHeaders(): Record<string, string> {
  const traceparent = process.env['TRACEPARENT'] ?? ''
  return /^[0-9a-f-]{55,}$/.test(traceparent) ? { traceparent } : {}
}

function send(options: TransportOptions, call: Call): ClientRequest {
  const body = call.body === undefined ? undefined : JSON.stringify(call.body)
  const request = httpRequest({
    // Without an agent: one connection a call, and none of what an agent does for names and addresses.
    createConnection: () => connect(options.socket),
    method: call.method,
    path: call.path,
    headers: {
      host: 'tsstack',
      ...(body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...(call.source === undefined ? {} : { 'content-type': 'application/x-tar' }),
      ...traceHeaders(),
      ...call.headers,
    },
    ...(call.signal === undefined ? {} : { signal: call.signal }),
  })
  // Whatever goes wrong with it, the request tells.
  if (call.source === undefined) request.end(body)
  else pipeline(call.source, request, () => undefined)
  return request
}

/** What a failed call means: our own signal, or the daemon. */
function callError(options: TransportOptions, call: Call, error: unknown): TsstackError {
  if (error instanceof TsstackError) return error
  if (call.signal?.aborted === true)
    return new TsstackError('CANCELLED', 'Cancelled', { cause: error })
  return connectionError(options.socket, error as NodeJS.ErrnoException)
}

async function respond(options: TransportOptions, call: Call): Promise<IncomingMessage> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = send(options, call)
    request.on('response', resolve)
    request.on('error', (error) => {
      reject(callError(options, call, error))
    })
  })
  await checkResponse(response, options, call)
  return response
}

/** Throws what the daemon says when its status is not one of success. */
async function checkResponse(
  response: IncomingMessage,
  options: TransportOptions,
  call: Call,
): Promise<void> {
  checkVersion(response, options)
  const status = response.statusCode ?? 0
  if (status >= 200 && status < 300) return
  const fallback = `${call.method} ${call.path}: the daemon answered ${String(status)}`
  const text = await readBody(response)
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    body = undefined
  }
  throw toError(body, fallback)
}

function parseItems(lines: readonly string[]): {
  items: unknown[]
  failure: TsstackError | undefined
} {
  const items: unknown[] = []
  for (const line of lines) {
    if (line === '') continue
    const item = parseJson(line)
    if (
      typeof item === 'object' &&
      item !== null &&
      (item as { type?: unknown }).type === 'error'
    ) {
      return {
        items,
        failure: toError((item as { error?: unknown }).error, 'the daemon reported an error'),
      }
    }
    items.push(item)
  }
  return { items, failure: undefined }
}

async function* readLines(response: IncomingMessage): AsyncGenerator<readonly unknown[], void> {
  response.setEncoding('utf8')
  let rest = ''
  for await (const chunk of response as AsyncIterable<string>) {
    const end = chunk.lastIndexOf('\n')
    if (end === -1) {
      rest += chunk
      if (rest.length > MAX_LINE_BYTES)
        throw new TsstackError('INTERNAL', 'Cannot read the stream: a line is too long')
      continue
    }
    const { items, failure } = parseItems((rest + chunk.slice(0, end)).split('\n'))
    rest = chunk.slice(end + 1)
    if (items.length > 0) yield items
    if (failure !== undefined) throw failure
  }
  if (rest !== '')
    throw new TsstackError(
      'UNAVAILABLE',
      'Cannot read the stream: it ended in the middle of a line',
    )
}

export function createTransport(options: TransportOptions): Transport {
  return {
    async json(call) {
      const response = await respond(options, call)
      const text = await readBody(response).catch((error: unknown) => {
        throw callError(options, call, error)
      })
      return text === '' ? undefined : parseJson(text)
    },

    async *stream(call) {
      const response = await respond(options, call)
      try {
        yield* readLines(response)
      } catch (error) {
        throw callError(options, call, error)
      } finally {
        response.destroy()
      }
    },

    bytes: (call) => respond(options, call),

    async upgrade(call) {
      const headers = { connection: 'Upgrade', upgrade: 'tsstack', ...call.headers }
      return new Promise((resolve, reject) => {
        const request = send(options, { ...call, headers })
        request.on('upgrade', (response, socket, head) => {
          try {
            checkVersion(response, options)
            resolve({ socket, head })
          } catch (error) {
            socket.destroy()
            reject(toTsstackError(error))
          }
        })
        request.on('response', (response) => {
          checkResponse(response, options, call)
            .then(() => {
              throw new TsstackError(
                'INTERNAL',
                `${call.path}: the daemon did not switch protocols`,
              )
            })
            .catch(reject)
        })
        request.on('error', (error) => {
          reject(callError(options, call, error))
        })
      })
    },
  }
}
