/**
 * Carries TCP connections to an IPv6 port of the host over to containers that have IPv4 only: `curl localhost` works
 * whichever address it tries first. The container sees the bridge's address as their source.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { TsstackError } from '../errors.ts'

const MAX_CONNECTIONS = 4096
const CONNECT_TIMEOUT_MS = 10_000

export interface ProxyTarget {
  readonly address: string
  readonly port: number
}

export interface TcpProxy {
  /** Sends new connections elsewhere, to each of the targets in turn; those that are open go on. */
  retarget(targets: readonly ProxyTarget[]): void
  /** Stops listening and cuts what is open. */
  close(): void
}

/**
 * Listens on an IPv6 address (`::` or `::1`), and there only.
 * @returns undefined where the host has no IPv6
 * @throws {ALREADY_EXISTS} when the port is taken
 */
export async function openTcpProxy(
  listen: { readonly address: string; readonly port: number },
  targets: readonly ProxyTarget[],
): Promise<TcpProxy | undefined> {
  let current = targets
  let turn = 0
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const target = current[turn++ % current.length]
    if (target === undefined) client.resetAndDestroy()
    else carry(client, target, sockets)
  })
  server.maxConnections = MAX_CONNECTIONS
  try {
    await startListening(server, listen)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL') return undefined
    const state = code === 'EADDRINUSE' ? 'it is in use' : String(code)
    throw new TsstackError(
      'ALREADY_EXISTS',
      `Cannot publish port [${listen.address}]:${listen.port}/tcp: ${state}`,
      { cause: error },
    )
  }
  return {
    retarget: (next) => {
      current = next
    },
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function startListening(
  server: Server,
  listen: { readonly address: string; readonly port: number },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(
      { host: listen.address, port: listen.port, ipv6Only: true, exclusive: true },
      () => {
        server.off('error', reject)
        // A failed accept (too many descriptors) is that connection's failure only.
        server.on('error', () => undefined)
        resolve()
      },
    )
  })
}

function carry(client: Socket, target: ProxyTarget, sockets: Set<Socket>): void {
  const container = createConnection({
    host: target.address,
    port: target.port,
    allowHalfOpen: true,
    noDelay: true,
    timeout: CONNECT_TIMEOUT_MS,
  })
  container.once('connect', () => container.setTimeout(0))
  container.once('timeout', () => {
    client.resetAndDestroy()
  })
  for (const [socket, other] of [
    [client, container],
    [container, client],
  ] as const) {
    sockets.add(socket)
    socket.on('error', () => {
      if (!other.destroyed) other.resetAndDestroy()
    })
    socket.on('close', () => {
      sockets.delete(socket)
      // Its end was piped over already, unless it was cut.
      if (!socket.readableEnded) other.destroy()
    })
    socket.pipe(other)
  }
}
