/** The TCP sockets of a network namespace, as the kernel lists them (man 5 proc_net, /proc/net/tcp). */
import { readFileSync } from 'node:fs'

/** Of include/net/tcp_states.h. */
const LISTEN = 0x0a
/** Connections on which something may still come or go: all but those that are over and only remembered. */
const OPEN: ReadonlySet<number> = new Set([
  0x01, // established
  0x03, // SYN received
  0x04, // FIN wait 1: bytes are on their way
  0x08, // close wait: the other side has said all, ours perhaps not
  0x09, // last ACK: likewise
])

/** Slot, local address and port, remote address and port, state. */
const SOCKET = /^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /gm

export interface TcpSockets {
  /** Ports that somebody listens on. */
  readonly listening: ReadonlySet<number>
  /** Connections that came in to those ports and are not over; what the container itself called is not among them. */
  readonly incoming: number
}

/** @returns what there is in the network namespace of a process; nothing when it is gone */
export function tcpSocketsOf(pid: number): TcpSockets {
  return parseSockets(`${readTable(pid, 'tcp')}${readTable(pid, 'tcp6')}`)
}

function readTable(pid: number, table: string): string {
  try {
    return readFileSync(`/proc/${String(pid)}/net/${table}`, 'latin1')
  } catch {
    return ''
  }
}

/** From the text of /proc/net/tcp and /proc/net/tcp6. */
export function parseSockets(text: string): TcpSockets {
  const sockets = [...text.matchAll(SOCKET)].map(([, port = '', state = '']) => ({
    port: Number.parseInt(port, 16),
    state: Number.parseInt(state, 16),
  }))
  const listening = new Set(sockets.filter(({ state }) => state === LISTEN).map(({ port }) => port))
  const incoming = sockets.filter(({ port, state }) => OPEN.has(state) && listening.has(port))
  return { listening, incoming: incoming.length }
}
