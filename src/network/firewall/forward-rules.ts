/**
 * Other people's chains that drop what they don't know: where Docker or ufw has set the policy of `ip filter FORWARD` to
 * DROP, no rule of ours can accept for it. There, and only there, two rules are appended: after the administrator's,
 * and in the words that iptables-nft prints as `-i ts-+ -j ACCEPT`.
 */
import { BRIDGE_PREFIX } from '../interface-names.ts'
import { query, type NetlinkConnection } from '../netlink/connection.ts'
import type { NetlinkRequest } from '../netlink/messages.ts'
import { compare, count, loadMeta, verdict, type Expression } from './expressions.ts'
import {
  decodeChain,
  decodeRule,
  deleteRule,
  Hook,
  LIST_CHAINS,
  listRules,
  NetfilterFamily,
  newRule,
  Policy,
  type Chain,
} from './nf-tables.ts'

const COMMENT = 'tsstack'
const IPTABLES_FAMILIES: readonly number[] = [NetfilterFamily.IPV4, NetfilterFamily.IPV6]

/** Chains that drop forwarded packets by policy, by whether we may add to them. */
export interface ForwardDrops {
  /** iptables' own. */
  readonly adaptable: readonly Chain[]
  /** Somebody's nftables: only the administrator can let our bridges through. `family table chain` */
  readonly foreign: readonly string[]
}

/** Looks for base chains on the forward hook with policy DROP. */
export function findForwardDrops(connection: NetlinkConnection, ownTable: string): ForwardDrops {
  const drops = query(connection, LIST_CHAINS)
    .map(decodeChain)
    .filter(
      (chain) =>
        chain.hook === Hook.FORWARD &&
        chain.policy === Policy.DROP &&
        chain.table.name !== ownTable,
    )
  const isIptables = (chain: Chain): boolean => {
    return (
      IPTABLES_FAMILIES.includes(chain.table.family) &&
      chain.table.name === 'filter' &&
      chain.name === 'FORWARD'
    )
  }
  return {
    adaptable: drops.filter(isIptables),
    foreign: drops
      .filter((chain) => !isIptables(chain))
      .map(({ table, name }) => `${familyName(table.family)} ${table.name} ${name}`),
  }
}

function familyName(family: number): string {
  const names = new Map<number, string>([
    [1, 'inet'],
    [2, 'ip'],
    [5, 'netdev'],
    [7, 'bridge'],
    [10, 'ip6'],
  ])
  return names.get(family) ?? String(family)
}

/** Requests that add our rules to a chain where they are missing. */
export function acceptRequests(connection: NetlinkConnection, chain: Chain): NetlinkRequest[] {
  if (ownRules(connection, chain).length > 0) return []
  return (['iifname', 'oifname'] as const).map((key) =>
    newRule(chain.table, chain.name, { expressions: acceptRule(key), comment: COMMENT }),
  )
}

/** Requests that take our rules out of every chain that may have them, whatever its policy is now. */
export function withdrawRequests(connection: NetlinkConnection): NetlinkRequest[] {
  return query(connection, LIST_CHAINS)
    .map(decodeChain)
    .filter(
      ({ table, name }) =>
        table.name === 'filter' && name === 'FORWARD' && IPTABLES_FAMILIES.includes(table.family),
    )
    .flatMap((chain) =>
      ownRules(connection, chain).map((handle) => deleteRule(chain.table, chain.name, handle)),
    )
}

function ownRules(connection: NetlinkConnection, chain: Chain): Uint8Array[] {
  return query(connection, listRules(chain.table, chain.name))
    .map(decodeRule)
    .flatMap(({ handle, comment }) => (comment === COMMENT ? [handle] : []))
}

/** Without its final NUL the name is a prefix: `ts-+` to iptables. */
function acceptRule(key: 'iifname' | 'oifname'): Expression[] {
  return [loadMeta(key, 0), compare(0, Buffer.from(BRIDGE_PREFIX)), count(), verdict('accept')]
}
