/** Who asks: the user at the other end of the socket, for the history of a stack. */
import type { FastifyRequest } from 'fastify'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { peerCredentials } from '../kernel/peer-credentials.ts'

/** A user's name by /etc/passwd, else `uid 1000`; `unknown` when the client has gone meanwhile. */
export function authorOf(request: FastifyRequest): string {
  const fd = descriptorOf(request.raw.socket)
  const peer = fd === undefined ? undefined : peerCredentials(fd)
  return peer === undefined ? 'unknown' : userName(peer.uid)
}

/** Node shows the descriptor of a socket nowhere else. */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } }
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined
}

function userName(uid: number): string {
  const fallback = `uid ${String(uid)}`
  try {
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
    const fields = lines.map((line) => line.split(':')).find((parts) => parts[2] === String(uid))
    return fields?.[0] ?? fallback
  } catch {
    return fallback
  }
}
