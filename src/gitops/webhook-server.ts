/**
 * The door for webhooks: `POST /hooks/SOURCE`, on an address of its own. All that a good one does is to have the daemon
 * look at the repository now; nothing in it is believed. All that a bad one learns is that it was not good.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { toTsstackError, TsstackError } from '../errors.ts'
import { log } from '../log.ts'
import { isSigned } from './webhook-signature.ts'

const MAX_BODY_BYTES = 2 << 20
const REQUEST_TIMEOUT_MS = 10_000
/** How late the end of that time is noticed at most: whoever keeps connections open keeps others out. */
const CHECK_MS = 1000
const MAX_CONNECTIONS = 64
/** Of one address at a time. */
const MAX_OF_ADDRESS = 16
/** Of one address within a minute. */
const MAX_REFUSALS = 20
const MINUTE_MS = 60_000
const RETRY_MS = 2000
/** The secret of sources that there are not. */
const NOBODYS = randomBytes(32).toString('hex')
const PATH = /^\/hooks\/([a-z0-9][a-z0-9_-]{0,62})\/?$/

export interface WebhookTargets {
  /** The secret of a source; undefined when there is none, or no such source. */
  secretOf(name: string): string | undefined
  /** Has it looked at now. */
  trigger(name: string): void
}

/**
 * Listens, and tries again while the address is taken: by the daemon that this one takes over from.
 * @param listen - `HOST:PORT`, `[::1]:PORT` or a port of 127.0.0.1
 */
export function openWebhooks(listen: string, targets: WebhookTargets): void {
  listenForWebhooks(listen, targets).catch((error: unknown) => {
    log.error('cannot take webhooks', { listen, error })
    if (toTsstackError(error).code === 'UNAVAILABLE')
      setTimeout(() => {
        openWebhooks(listen, targets)
      }, RETRY_MS).unref()
  })
}

/** @throws {INVALID_ARGUMENT} no such address; {UNAVAILABLE} it can't be listened on */
export async function listenForWebhooks(
  listen: string,
  targets: WebhookTargets,
  requestTimeout = REQUEST_TIMEOUT_MS,
): Promise<Server> {
  const [, host = '127.0.0.1', port] = /^(?:\[?([^\]]+)\]?:)?(\d{1,5})$/.exec(listen) ?? []
  if (port === undefined || Number(port) > 65_535)
    throw new TsstackError('INVALID_ARGUMENT', `Cannot listen on "${listen}"`, {
      hint: 'Set TSSTACK_WEBHOOK_LISTEN to HOST:PORT, such as 127.0.0.1:9180',
    })
  const refusals = countRefusals()
  const times = { requestTimeout, connectionsCheckingInterval: CHECK_MS }
  const server = createServer(times, (request, response) => {
    answer(request, response, { targets, refusals })
  })
  server.maxConnections = MAX_CONNECTIONS
  limitAddresses(server)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(
        new TsstackError('UNAVAILABLE', `Cannot listen on "${listen}": ${error.message}`, {
          cause: error,
        }),
      )
    })
    server.listen(Number(port), host, resolve)
  })
  server.on('error', (error) => {
    log.warn('webhooks failed', { error })
  })
  log.info('listening for webhooks', { listen })
  return server
}

/** One address can't take all connections. A proxy on this host is one address, and has limits of its own. */
function limitAddresses(server: Server): void {
  const open = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const { remoteAddress: address = '' } = socket
    if (isLoopback(address)) return
    const count = (open.get(address) ?? 0) + 1
    open.set(address, count)
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1
      if (left === 0) open.delete(address)
      else open.set(address, left)
    })
    if (count > MAX_OF_ADDRESS) socket.destroy()
  })
}

function isLoopback(address: string): boolean {
  return /^(?:::ffff:)?127\.|^::1$/.test(address)
}

/**
 * Who asks. Behind a proxy on this host all have its address: what it has added to X-Forwarded-For counts then, or whoever is refused
 * too often would keep out everybody else.
 */
function addressOf({ socket, headers }: IncomingMessage): string {
  const { remoteAddress = '' } = socket
  const forwarded = headers['x-forwarded-for']
  if (!isLoopback(remoteAddress) || typeof forwarded !== 'string') return remoteAddress
  return forwarded.split(',').at(-1)?.trim() ?? remoteAddress
}

interface Refusals {
  /** Whether this address has been refused too often of late. */
  tooMany(address: string): boolean
  add(address: string): void
}

/** Forgets all at the end of a minute: nothing grows with the number of addresses for longer. */
function countRefusals(): Refusals {
  let counts = new Map<string, number>()
  let endsAt = 0
  const current = (): Map<string, number> => {
    if (Date.now() >= endsAt) {
      counts = new Map()
      endsAt = Date.now() + MINUTE_MS
    }
    return counts
  }
  return {
    tooMany: (address) => (current().get(address) ?? 0) >= MAX_REFUSALS,
    add: (address) => {
      current().set(address, (current().get(address) ?? 0) + 1)
    },
  }
}

interface Answering {
  readonly targets: WebhookTargets
  readonly refusals: Refusals
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { targets, refusals }: Answering,
): void {
  const address = addressOf(request)
  const end = (status: number): void => {
    if (status === 401) refusals.add(address)
    if (!response.headersSent) response.writeHead(status, { connection: 'close' }).end()
  }
  if (refusals.tooMany(address)) {
    end(429)
    return
  }
  const name = PATH.exec(request.url ?? '')?.[1]
  if (request.method !== 'POST' || name === undefined) {
    end(404)
    return
  }
  const chunks: Buffer[] = []
  let size = 0
  request.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= MAX_BODY_BYTES) chunks.push(chunk)
    else {
      end(413)
      request.destroy()
    }
  })
  request.on('error', () => undefined)
  request.on('end', () => {
    const secret = targets.secretOf(name)
    // Without one it takes as long: nobody learns which sources there are.
    const isGood = isSigned(request.headers, Buffer.concat(chunks), secret ?? NOBODYS)
    if (secret === undefined || !isGood) end(401)
    else {
      targets.trigger(name)
      end(202)
    }
  })
}
