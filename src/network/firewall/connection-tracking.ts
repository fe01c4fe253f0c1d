/** What the kernel remembers of connections that it translates (nf_conntrack, by NFNL_SUBSYS_CTNETLINK). */
import { NetlinkProtocol } from '../../kernel/netlink-socket.ts'
import { addressBytes, requireAddress } from '../ip-address.ts'
import { be32, u32, type Attribute } from '../netlink/attributes.ts'
import { NetlinkError, openConnection, transact } from '../netlink/connection.ts'
import type { NetlinkRequest } from '../netlink/messages.ts'
import { NetfilterFamily } from './nf-tables.ts'

// include/uapi/linux/netfilter/nfnetlink_conntrack.h
const SUBSYSTEM = 1
const MESSAGE_DELETE = 2
const CTA_TUPLE_REPLY = 2
const CTA_STATUS = 3
const CTA_FILTER = 25
const CTA_STATUS_MASK = 26
const CTA_TUPLE_IP = 1
const CTA_IP_V4_SRC = 1
const CTA_IP_V6_SRC = 3
const CTA_FILTER_ORIG_FLAGS = 1
const CTA_FILTER_REPLY_FLAGS = 2
const BY_SOURCE = 1
// include/uapi/linux/netfilter/nf_conntrack_common.h
const IPS_SEEN_REPLY = 2

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
  if (addresses.length === 0) return
  const connection = openConnection(NetlinkProtocol.NETFILTER)
  try {
    for (const address of addresses) transact(connection, [forgetRequest(address, which)])
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error
  } finally {
    connection.close()
  }
}

/** Those whose answers come from the address. */
function forgetRequest(address: string, which: WhichConnections): NetlinkRequest {
  const parsed = requireAddress(address)
  const is6 = address.includes(':')
  const unanswered: Attribute[] = [
    [CTA_STATUS, be32(0)],
    [CTA_STATUS_MASK, be32(IPS_SEEN_REPLY)],
  ]
  const source: Attribute = [is6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, addressBytes(parsed)]
  return {
    action: `forget connections to "${address}"`,
    type: (SUBSYSTEM << 8) | MESSAGE_DELETE,
    flags: 0,
    // struct nfgenmsg: family, version, resource id
    header: Uint8Array.of(is6 ? NetfilterFamily.IPV6 : NetfilterFamily.IPV4, 0, 0, 0),
    attributes: [
      [CTA_TUPLE_REPLY, [[CTA_TUPLE_IP, [source]]]],
      [
        CTA_FILTER,
        [
          [CTA_FILTER_ORIG_FLAGS, u32(0)],
          [CTA_FILTER_REPLY_FLAGS, u32(BY_SOURCE)],
        ],
      ],
      ...(which === 'unanswered' ? unanswered : []),
    ],
    tolerate: ['ENOENT'],
  }
}
