/**
 * Other people's chains that drop what they don't know: where Docker or ufw has set the policy of `ip filter FORWARD` to
 * DROP, no rule of ours can accept for it. There, and only there, two rules are appended: after the administrator's,
 * and in the words that iptables-nft prints as `-i ts-+ -j ACCEPT`. With ufw only the way out is opened: who has set it up
 * wants to say himself what comes in (`ufw route allow`).
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
/** Where ufw keeps what its user has said of routed packets (man 8 ufw-framework). */
const UFW = /^ufw6?-user-forward$/
const IPTABLES_FAMILIES: readonly number[] = [NetfilterFamily.IPV4, NetfilterFamily.IPV6]

/** Chains that drop forwarded packets by policy, by whether we may add to them. */
export interface ForwardDrops {
  /** iptables' own. */
  readonly adaptable: readonly Chain[]
  /** Of those, such as ufw decides for. */
  readonly guarded: readonly Chain[]
  /** Somebody's nftables: only the administrator can let our bridges through. `family table chain` */
  readonly foreign: readonly string[]
}

/** Looks for base chains on the forward hook with policy DROP. */
export function findForwardDrops(connection: NetlinkConnection, ownTable: string): ForwardDrops {
  const chains = query(connection, LIST_CHAINS).map(decodeChain)
  const drops = chains.filter(
    (chain) =>
      chain.hook === Hook.FORWARD && chain.policy === Policy.DROP && chain.table.name !== ownTable,
  )
  const hasUfw = ({ table }: Chain): boolean =>
    chains.some(({ name, table: { family } }) => UFW.test(name) && family === table.family)
  const isIptables = (chain: Chain): boolean => {
    return (
      IPTABLES_FAMILIES.includes(chain.table.family) &&
      chain.table.name === 'filter' &&
      chain.name === 'FORWARD'
    )
  }
  const adaptable = drops.filter(isIptables)
  return {
    adaptable,
    guarded: adaptable.filter(hasUfw),
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

/** Requests that add our rules to a chain where they are missing. @param outOnly - what comes in is not let through */
export function acceptRequests(
  connection: NetlinkConnection,
  chain: Chain,
  { outOnly }: { readonly outOnly: boolean },
): NetlinkRequest[] {
  const own = ownRules(connection, chain)
  const keys = outOnly ? (['iifname'] as const) : (['iifname', 'oifname'] as const)
  if (own.length === keys.length) return []
  const removals = own.map((handle) => deleteRule(chain.table, chain.name, handle))
  const additions = keys.map((key) =>
    newRule(chain.table, chain.name, { expressions: acceptRule(key), comment: COMMENT }),
  )
  return [...removals, ...additions]
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
