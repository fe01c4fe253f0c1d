/** Requests over a netlink socket: many in one send, the kernel's refusals as errors that name the request. */
import { closeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { TsstackError } from '../../errors.ts'
import { errnoName } from '../../kernel/libc.ts'
import {
  openNetlinkSocket,
  prepareNetlinkSocket,
  receiveNetlink,
  sendNetlink,
} from '../../kernel/netlink-socket.ts'
import {
  decodeReplies,
  encodeRequests,
  RequestFlag,
  type NetlinkReply,
  type NetlinkRequest,
} from './messages.ts'

const DUMP_ATTEMPTS = 10

/** A socket in one network namespace. All calls are synchronous, so that requests never interleave. */
export interface NetlinkConnection {
  readonly fd: number
  /** Of the next request. */
  sequence: number
  close(): void
}

/** A request that the kernel refused. */
export class NetlinkError extends TsstackError {
  readonly errnoName: string

  constructor(request: NetlinkRequest, errno: number, detail: string) {
    const name = errnoName(errno)
    super(
      'SYSCALL_FAILED',
      `Cannot ${request.action}: ${name}${detail === '' ? '' : ` (${detail})`}`,
    )
    this.errnoName = name
  }
}

/**
 * Opens a connection in the calling thread's network namespace.
 * @param bufferBytes of the socket's buffers, for large transactions
 * @throws {SYSCALL_FAILED}
 */
export function openConnection(protocol: number, bufferBytes?: number): NetlinkConnection {
  const fd = openNetlinkSocket(protocol)
  prepareNetlinkSocket(fd, bufferBytes)
  return {
    fd,
    sequence: 1,
    close: () => {
      closeSync(fd)
    },
  }
}

/** Uses a socket that somebody else opened, inside a container's namespace; `close` leaves it open. */
export function borrowConnection(fd: number): NetlinkConnection {
  prepareNetlinkSocket(fd)
  return { fd, sequence: 1, close: () => undefined }
}

function takeSequence(connection: NetlinkConnection, count: number): number {
  const first = connection.sequence
  connection.sequence = first + count > 0x7fff_0000 ? 1 : first + count
  return first
}

/**
 * Sends the requests in one datagram. The kernel carries out each in order and goes on after a refusal.
 * @throws {NetlinkError} for the first refused request; the others were carried out
 */
export function transact(
  connection: NetlinkConnection,
  requests: readonly NetlinkRequest[],
  acknowledged = requests.length - 1,
): void {
  if (requests.length === 0) return
  const first = takeSequence(connection, requests.length)
  sendNetlink(connection.fd, encodeRequests(requests, first, acknowledged))
  const isBatch = acknowledged < requests.length - 1
  let refusal: NetlinkError | undefined
  for (let finished = false; !finished;) {
    for (const reply of decodeReplies(receiveNetlink(connection.fd))) {
      const position = reply.sequence - first
      const request = requests[position]
      if (reply.kind !== 'result' || request === undefined) continue
      // A batch of nf_tables that fails as a whole answers to its first message alone.
      const failsAsBatch = isBatch && position === 0 && reply.errno !== 0
      if (position === acknowledged || failsAsBatch) finished = true
      if (reply.errno === 0 || request.tolerate?.includes(errnoName(reply.errno)) === true) continue
      refusal ??= new NetlinkError(request, reply.errno, reply.detail)
    }
  }
  if (refusal !== undefined) throw refusal
}

/**
 * Asks for a list, or (without DUMP in its flags) for one object, and gives the bodies of the answers.
 * @throws {NetlinkError}
 */
export function query(connection: NetlinkConnection, request: NetlinkRequest): Buffer[] {
  for (let attempt = 1; ; attempt++) {
    const answer = queryOnce(connection, request)
    // The list changed while the kernel wrote it: ask again, unless that goes on for ever.
    if (!answer.interrupted || attempt === DUMP_ATTEMPTS) return answer.bodies
  }
}

/**
 * Asks for a list that may be long, and looks at one answer after the other; other work of the daemon has its turn between.
 * @param isFound - of the body of an answer, a view that is valid within the call alone
 * @returns whether one was found; the connection can't be used again
 * @throws {NetlinkError}
 */
export async function find(
  connection: NetlinkConnection,
  request: NetlinkRequest,
  isFound: (body: Buffer) => boolean,
): Promise<boolean> {
  sendNetlink(connection.fd, encodeRequests([request], takeSequence(connection, 1), -1))
  for (;;) {
    for (const reply of decodeReplies(receiveNetlink(connection.fd))) {
      if (reply.kind === 'data' && isFound(reply.body)) return true
      if (reply.kind === 'data') continue
      if (reply.errno !== 0) throw refusalOf(request, reply)
      return false
    }
    await setImmediate()
  }
}

function queryOnce(
  connection: NetlinkConnection,
  request: NetlinkRequest,
): { bodies: Buffer[]; interrupted: boolean } {
  const sequence = takeSequence(connection, 1)
  const isDump = (request.flags & RequestFlag.DUMP) === RequestFlag.DUMP
  sendNetlink(connection.fd, encodeRequests([request], sequence, isDump ? -1 : 0))
  const bodies: Buffer[] = []
  let interrupted = false
  for (;;) {
    for (const reply of decodeReplies(receiveNetlink(connection.fd))) {
      if (reply.sequence !== sequence) continue
      if (reply.kind !== 'result') interrupted ||= reply.interrupted
      if (reply.kind === 'data') bodies.push(Buffer.from(reply.body))
      else if (reply.errno !== 0) throw refusalOf(request, reply)
      else return { bodies, interrupted }
    }
  }
}

function refusalOf(
  request: NetlinkRequest,
  reply: Exclude<NetlinkReply, { kind: 'data' }>,
): NetlinkError {
  return new NetlinkError(request, reply.errno, reply.kind === 'result' ? reply.detail : '')
}
