/** Firewalls of others on this host that decide about the traffic of containers, for who asks what is in the way. */
import { NetlinkProtocol } from '../../kernel/netlink-socket.ts'
import { openConnection, query } from '../netlink/connection.ts'
import { findForwardDrops } from './forward-rules.ts'
import { decodeChain, Hook, LIST_CHAINS } from './nf-tables.ts'
import { TABLE } from './ruleset.ts'

const FIREWALLD_TABLE = 'firewalld'

export interface OtherFirewalls {
  /** It decides what reaches published ports from outside. */
  readonly ufw: boolean
  /** It rejects at the end of its chain, by a rule and not by a policy, what is of no zone that it knows. */
  readonly firewalld: boolean
  /** Other chains with policy DROP that nobody but an administrator may change: `family table chain`. */
  readonly blockedBy: readonly string[]
}

/**
 * Looks at the network namespace of the calling thread.
 * @throws {SYSCALL_FAILED}
 */
export function findOtherFirewalls(): OtherFirewalls {
  const connection = openConnection(NetlinkProtocol.NETFILTER)
  try {
    const { guarded, foreign } = findForwardDrops(connection, TABLE.name)
    const chains = query(connection, LIST_CHAINS).map(decodeChain)
    const firewalld = chains.some(
      ({ table, hook }) => table.name === FIREWALLD_TABLE && hook === Hook.FORWARD,
    )
    return { ufw: guarded.length > 0, firewalld, blockedBy: foreign }
  } finally {
    connection.close()
  }
}
