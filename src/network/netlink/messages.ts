/** Netlink messages: a header of 16 bytes, a fixed part that depends on the type, attributes. Pure. */
import {
  attributesSize,
  readAttributes,
  readText,
  writeAttributes,
  type Attribute,
} from './attributes.ts'

const HEADER_BYTES = 16
const NLMSG_ERROR = 2
const NLMSG_DONE = 3
const NLMSGERR_ATTR_MSG = 1
const NLM_F_DUMP_INTR = 0x10
const NLM_F_CAPPED = 0x100

/** Flags of a request (include/uapi/linux/netlink.h). */
export const RequestFlag = {
  REQUEST: 0x1,
  ACK: 0x4,
  ECHO: 0x8,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const

/** A request as data; sequence numbers and lengths come when it is sent. */
export interface NetlinkRequest {
  /** What it does and to what, for the error message: `create bridge "ts-1"`. */
  readonly action: string
  readonly type: number
  /** Any of RequestFlag but REQUEST and ACK. */
  readonly flags: number
  /** The fixed part; its length is a multiple of 4. */
  readonly header: Uint8Array
  readonly attributes: readonly Attribute[]
  /** An errno that does not make the request fail: what it wanted is so already. */
  readonly tolerate?: readonly string[]
}

/** One message that the kernel sent. */
export type NetlinkReply =
  | {
      readonly kind: 'data'
      readonly type: number
      readonly sequence: number
      readonly body: Buffer
      readonly interrupted: boolean
    }
  | {
      readonly kind: 'done'
      readonly sequence: number
      readonly interrupted: boolean
      readonly errno: number
    }
  /** errno 0: acknowledged. */
  | {
      readonly kind: 'result'
      readonly sequence: number
      readonly errno: number
      readonly detail: string
    }

/** How many bytes the request takes in a datagram. */
export function requestSize(request: NetlinkRequest): number {
  return HEADER_BYTES + request.header.length + attributesSize(request.attributes)
}

/**
 * Encodes requests into one datagram; the first gets `firstSequence`, each next one more. Only one asks for an
 * acknowledgement: the kernel works in order and reports failures unasked.
 * @param acknowledged position of the one; -1: none
 */
export function encodeRequests(
  requests: readonly NetlinkRequest[],
  firstSequence: number,
  acknowledged: number,
): Buffer {
  const sizes = requests.map(requestSize)
  const bytes = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0))
  let at = 0
  requests.forEach((request, index) => {
    const size = sizes[index] ?? 0
    bytes.writeUInt32LE(size, at)
    bytes.writeUInt16LE(request.type, at + 4)
    const acknowledge = index === acknowledged ? RequestFlag.ACK : 0
    bytes.writeUInt16LE(RequestFlag.REQUEST | request.flags | acknowledge, at + 6)
    bytes.writeUInt32LE((firstSequence + index) >>> 0, at + 8)
    bytes.set(request.header, at + HEADER_BYTES)
    writeAttributes(bytes, at + HEADER_BYTES + request.header.length, request.attributes)
    at += size
  })
  return bytes
}

/** The messages of one datagram. Malformed rests are ignored. */
export function decodeReplies(bytes: Buffer): NetlinkReply[] {
  return splitMessages(bytes).map(decodeReply)
}

/** What changed, as a multicast group tells it. */
export interface NetlinkNotification {
  readonly type: number
  /** Of the socket that asked for the change; 0: the kernel itself. */
  readonly port: number
  /** The fixed part and the attributes. */
  readonly body: Buffer
}

/** The notifications of one datagram; views on its bytes. */
export function decodeNotifications(bytes: Buffer): NetlinkNotification[] {
  return splitMessages(bytes).map((message) => ({
    type: message.readUInt16LE(4),
    port: message.readUInt32LE(12),
    body: message.subarray(HEADER_BYTES),
  }))
}

function splitMessages(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = []
  let at = 0
  while (at + HEADER_BYTES <= bytes.length) {
    const length = bytes.readUInt32LE(at)
    if (length < HEADER_BYTES || at + length > bytes.length) break
    messages.push(bytes.subarray(at, at + length))
    at += (length + 3) & ~3
  }
  return messages
}

function decodeReply(message: Buffer): NetlinkReply {
  const type = message.readUInt16LE(4)
  const flags = message.readUInt16LE(6)
  const sequence = message.readUInt32LE(8)
  const body = message.subarray(HEADER_BYTES)
  const interrupted = (flags & NLM_F_DUMP_INTR) !== 0
  if (type === NLMSG_DONE) {
    const status = body.length >= 4 ? body.readInt32LE(0) : 0
    return { kind: 'done', sequence, interrupted, errno: status < 0 ? -status : 0 }
  }
  if (type !== NLMSG_ERROR) return { kind: 'data', type, sequence, body, interrupted }
  return { kind: 'result', sequence, errno: -body.readInt32LE(0), detail: errorDetail(body, flags) }
}

/** The kernel's own words follow the (capped) copy of the request (NETLINK_EXT_ACK). */
function errorDetail(body: Buffer, flags: number): string {
  if (body.length <= 4 + HEADER_BYTES) return ''
  const copied = (flags & NLM_F_CAPPED) === 0 ? body.readUInt32LE(4) : HEADER_BYTES
  const rest = body.subarray(4 + ((copied + 3) & ~3))
  return readText(readAttributes(rest).get(NLMSGERR_ATTR_MSG))
}
