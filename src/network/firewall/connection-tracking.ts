/** What the kernel remembers of connections that it translates (nf_conntrack, by NFNL_SUBSYS_CTNETLINK). */
import { NetlinkProtocol } from '../../kernel/netlink-socket.ts'
import { addressBytes, requireAddress } from '../ip-address.ts'
import { be32, findAttribute, u32, type Attribute } from '../netlink/attributes.ts'
import { find, NetlinkError, openConnection, transact } from '../netlink/connection.ts'
import { RequestFlag, type NetlinkRequest } from '../netlink/messages.ts'
import { NetfilterFamily } from './nf-tables.ts'

// include/uapi/linux/netfilter/nfnetlink_conntrack.h
const SUBSYSTEM = 1
const MESSAGE_GET = 1
const MESSAGE_DELETE = 2
const CTA_TUPLE_REPLY = 2
const CTA_STATUS = 3
const CTA_PROTOINFO = 4
const CTA_FILTER = 25
const CTA_STATUS_MASK = 26
const CTA_PROTOINFO_TCP = 1
const CTA_PROTOINFO_TCP_STATE = 1
const CTA_PROTOINFO_TCP_FLAGS_ORIGINAL = 4
const CTA_TUPLE_IP = 1
const CTA_IP_V4_SRC = 1
const CTA_IP_V6_SRC = 3
const CTA_FILTER_ORIG_FLAGS = 1
const CTA_FILTER_REPLY_FLAGS = 2
const BY_SOURCE = 1
// include/uapi/linux/netfilter/nf_conntrack_common.h
const IPS_SEEN_REPLY = 2
// include/uapi/linux/netfilter/nf_conntrack_tcp.h
const TCP_CONNTRACK_ESTABLISHED = 3
const TCP_CONNTRACK_LAST_ACK = 6
const IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED = 0x10
// struct nfgenmsg: family, version, resource id
const HEADER_BYTES = 4

/** `unanswered`: those to which the container has not said a word. */
export type WhichConnections = 'all' | 'unanswered'

/**
 * Forgets connections to a container. All, of one that is gone: otherwise a client that happens to use the same port again
 * within two minutes, and every sender of datagrams, would be led to its address as before. The unanswered, of one whose
 * place another takes: a client whose SYN was lost in a full queue sends it again a second later, and is led to the other.
 * Nothing to do where the kernel can't choose among connections when it forgets (before 6.8).
 * @param addresses - of the container, IPv4 and IPv6
 */
export function forgetConnectionsTo(addresses: readonly string[], which: WhichConnections): void {
  const connection = openConnection(NetlinkProtocol.NETFILTER)
  try {
    for (const address of addresses) transact(connection, [forgetRequest(address, which)])
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error
  } finally {
    connection.close()
  }
}

/**
 * Whether a client has said something over TCP that the container has not even acknowledged, although the connection is
 * there for the client: the last step of its opening was lost in a full queue, and the container knows nothing of it until
 * the client says it again (it may be a SYN cookie, man 7 tcp).
 * @param addresses - of the container, IPv4 and IPv6
 * @returns false where the kernel does not say
 */
export async function areUnheardConnectionsTo(addresses: readonly string[]): Promise<boolean> {
  for (const address of addresses) if (await isUnheardConnectionTo(address)) return true
  return false
}

async function isUnheardConnectionTo(address: string): Promise<boolean> {
  const connection = openConnection(NetlinkProtocol.NETFILTER)
  try {
    return await find(connection, listRequest(address), isUnheard)
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error
    return false
  } finally {
    connection.close()
  }
}

function isUnheard(body: Buffer): boolean {
  const protocol = findAttribute(body.subarray(HEADER_BYTES), CTA_PROTOINFO)
  const tcp = protocol && findAttribute(protocol, CTA_PROTOINFO_TCP)
  if (tcp === undefined) return false
  const state = findAttribute(tcp, CTA_PROTOINFO_TCP_STATE)?.[0] ?? 0
  if (state < TCP_CONNTRACK_ESTABLISHED || state > TCP_CONNTRACK_LAST_ACK) return false
  const flags = findAttribute(tcp, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL)?.[0] ?? 0
  return (flags & IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED) !== 0
}

function listRequest(address: string): NetlinkRequest {
  return {
    action: `list connections to "${address}"`,
    type: (SUBSYSTEM << 8) | MESSAGE_GET,
    flags: RequestFlag.DUMP,
    header: familyHeader(address),
    attributes: answeredBy(address),
  }
}

function forgetRequest(address: string, which: WhichConnections): NetlinkRequest {
  const unanswered: Attribute[] = [
    [CTA_STATUS, be32(0)],
    [CTA_STATUS_MASK, be32(IPS_SEEN_REPLY)],
  ]
  return {
    action: `forget connections to "${address}"`,
    type: (SUBSYSTEM << 8) | MESSAGE_DELETE,
    flags: 0,
    header: familyHeader(address),
    attributes: [...answeredBy(address), ...(which === 'unanswered' ? unanswered : [])],
    tolerate: ['ENOENT'],
  }
}

function familyHeader(address: string): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES)
  header[0] = isIpv6(address) ? NetfilterFamily.IPV6 : NetfilterFamily.IPV4
  return header
}

/** Those whose answers come from the address. */
function answeredBy(address: string): Attribute[] {
  const source = isIpv6(address) ? CTA_IP_V6_SRC : CTA_IP_V4_SRC
  return [
    [CTA_TUPLE_REPLY, [[CTA_TUPLE_IP, [[source, addressBytes(requireAddress(address))]]]]],
    [
      CTA_FILTER,
      [
        [CTA_FILTER_ORIG_FLAGS, u32(0)],
        [CTA_FILTER_REPLY_FLAGS, u32(BY_SOURCE)],
      ],
    ],
  ]
}

function isIpv6(address: string): boolean {
  return address.includes(':')
}
