/**
 * The connections of clients, and whether one of them waits for an answer: a daemon that leaves answers first. A connection
 * that has been accepted and has not said anything yet counts, too: its request may be on its way.
 */
import type { Server, ServerResponse } from 'node:http'
import { Server as SocketServer } from 'node:net'
import type { Duplex } from 'node:stream'

/** For the first request of a connection to arrive. */
const SILENT_MS = 500

export interface RequestsInFlight {
  /**
   * Takes no more connections, and waits for the requests of those that are open, or until the time is over.
   * @returns how many are left
   */
  settle(timeoutMs: number): Promise<number>
  /** Cuts those that are left: to a client, and to a program that it runs, the other side has gone. */
  cut(): void
}

/** `silent`: no request yet; `idle`: all of its requests have been answered. */
type ConnectionState = 'silent' | 'busy' | 'idle'

/** Call before the server listens. */
export function countRequests(server: Server): RequestsInFlight {
  return new Connections(server)
}

class Connections implements RequestsInFlight {
  readonly #server: Server
  readonly #states = new Map<Duplex, ConnectionState>()
  #onChange: () => void = () => undefined
  #settling = false

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket: Duplex) => {
      this.#become(socket, 'silent')
      socket.once('close', () => {
        this.#states.delete(socket)
        this.#onChange()
      })
    })
    server.on('request', ({ socket }, response: ServerResponse) => {
      this.#become(socket, 'busy')
      response.once('close', () => {
        if (this.#states.has(socket)) this.#become(socket, 'idle')
      })
    })
    server.on('upgrade', (_request, socket: Duplex) => {
      this.#become(socket, 'busy')
    })
  }

  async settle(timeoutMs: number): Promise<number> {
    this.#settling = true
    // Not the HTTP server's own close: it cuts connections whose request has not been read yet.
    SocketServer.prototype.close.call(this.#server)
    this.#end('idle')
    const silence = setTimeout(() => {
      this.#end('silent')
    }, SILENT_MS)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#onChange = () => {
        if (this.#states.size > 0) return
        clearTimeout(timer)
        resolve()
      }
      this.#onChange()
    })
    clearTimeout(silence)
    return this.#states.size
  }

  cut(): void {
    for (const socket of [...this.#states.keys()]) socket.destroy()
  }

  #become(socket: Duplex, state: ConnectionState): void {
    this.#states.set(socket, state)
    if (this.#settling && state === 'idle') socket.end()
  }

  #end(state: ConnectionState): void {
    for (const [socket, current] of [...this.#states]) if (current === state) socket.end()
  }
}
