/** Who is at the other end of a unix socket, as the kernel saw it when the connection was made (man 7 unix, SO_PEERCRED). */
import { trySyscall } from './libc.ts'

const SOL_SOCKET = 1
const SO_PEERCRED = 17
/** struct ucred: pid, uid, gid. */
const UCRED_BYTES = 12

export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/** @returns undefined when the descriptor is no connected unix socket */
export function peerCredentials(fd: number): PeerCredentials | undefined {
  const credentials = Buffer.alloc(UCRED_BYTES)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(UCRED_BYTES)
  const result = trySyscall('getsockopt', fd, SOL_SOCKET, SO_PEERCRED, credentials, length)
  if (result < 0) return undefined
  return {
    pid: credentials.readInt32LE(0),
    uid: credentials.readUInt32LE(4),
    gid: credentials.readUInt32LE(8),
  }
}
