/**
 * The table `inet tsstack`: its rules never change, whatever networks and ports there are; only the elements of its sets
 * and maps do. So every packet passes the same few look-ups, and publishing one more port is one element more.
 *
 *   raw_prerouting     containers can't reach 127.0.0.0/8 of the host, although it is routed through their bridges
 *   nat_prerouting     published ports: (address, protocol, port) -> (container, port); 0.0.0.0 means any local address
 *                      where several containers share it: (slot, address, protocol, port) -> (container, port)
 *   nat_output         the same for programs of the host itself
 *   nat_postrouting    outgoing, hairpin and localhost traffic gets the host's address
 *   filter_forward     networks reach neither each other nor, if internal, anything; from outside only published ports
 *   filter_input       a network reaches its own gateway, not those of others
 */
import { be16, u32, u8 } from '../netlink/attributes.ts'
import type { NetlinkRequest } from '../netlink/messages.ts'
import {
  compare,
  Field,
  loadConnection,
  loadDestinationType,
  loadMeta,
  loadPayload,
  lookUp,
  mask,
  masquerade,
  reject,
  translateDestination,
  verdict,
  type Expression,
} from './expressions.ts'
import {
  Hook,
  NetfilterFamily,
  newChain,
  newRule,
  newSet,
  newTable,
  Policy,
  type BaseChain,
  type Table,
} from './nf-tables.ts'
import { SETS, SLOT_BITS } from './sets.ts'

/** Everything of ours is in this table. */
export const TABLE: Table = { family: NetfilterFamily.INET, name: 'tsstack' }

const RTN_LOCAL = u32(2)
const ESTABLISHED_OR_RELATED = u32(2 | 4)
const DESTINATION_TRANSLATED = u32(0x20)
const NOTHING = u32(0)
const IPPROTO_ICMPV6 = 58
const LOOPBACK4 = Uint8Array.of(127, 0, 0, 0)
const LOOPBACK6 = Uint8Array.of(...new Uint8Array(15), 1)
const EIGHT_BITS = Uint8Array.of(255, 0, 0, 0)

type Rule = readonly Expression[]

const fromBridge = [loadMeta('iifname', 0), lookUp('bridges', 0)]
const toBridge = [loadMeta('oifname', 0), lookUp('bridges', 0)]
const withinNetwork = [loadMeta('iifname', 0), loadMeta('oifname', 4), lookUp('loops', 0)]
const isIpv4 = [loadMeta('nfproto', 0), compare(0, u8(NetfilterFamily.IPV4))]
const isIpv6 = [loadMeta('nfproto', 0), compare(0, u8(NetfilterFamily.IPV6))]
const established = [
  loadConnection('state', 0),
  mask(0, ESTABLISHED_OR_RELATED),
  compare(0, NOTHING, { not: true }),
]
const wasPublished = [
  loadConnection('status', 0),
  mask(0, DESTINATION_TRANSLATED),
  compare(0, NOTHING, { not: true }),
]
const toLoopback4 = [
  loadPayload(Field.ipv4Destination, 0),
  mask(0, EIGHT_BITS),
  compare(0, LOOPBACK4),
]
const notToLoopback4 = [
  loadPayload(Field.ipv4Destination, 0),
  mask(0, EIGHT_BITS),
  compare(0, LOOPBACK4, { not: true }),
]
const notToLoopback6 = [loadPayload(Field.ipv6Destination, 0), compare(0, LOOPBACK6, { not: true })]
const toThisHost = [loadDestinationType(0), compare(0, RTN_LOCAL)]

const destination4 = [loadPayload(Field.ipv4Destination, 0)]
const destination6 = [loadPayload(Field.ipv6Destination, 0)]
/** 0.0.0.0 and ::, in a form that nft can print and read again. */
const anyDestination4 = [...destination4, mask(0, new Uint8Array(4))]
const anyDestination6 = [...destination6, mask(0, new Uint8Array(16))]

/** Registers from 0 on: address, protocol, port; afterwards address and port of the container. */
function translate4(address: Rule): Rule {
  return [
    ...address,
    loadMeta('l4proto', 1),
    loadPayload(Field.destinationPort, 2),
    lookUp('published4', 0, { to: 0 }),
    translateDestination(NetfilterFamily.IPV4, 0, 1),
  ]
}

function translate6(address: Rule): Rule {
  return [
    ...address,
    loadMeta('l4proto', 4),
    loadPayload(Field.destinationPort, 5),
    lookUp('published6', 0, { to: 0 }),
    translateDestination(NetfilterFamily.IPV6, 0, 4),
  ]
}

const slot = [loadPayload(Field.sourcePort, 0), mask(0, be16(SLOT_BITS))]
const share4 = [
  ...slot,
  loadPayload(Field.ipv4Destination, 1),
  loadMeta('l4proto', 2),
  loadPayload(Field.destinationPort, 3),
  lookUp('shared4', 0, { to: 0 }),
  translateDestination(NetfilterFamily.IPV4, 0, 1),
]
const share6 = [
  ...slot,
  loadPayload(Field.ipv6Destination, 1),
  loadMeta('l4proto', 5),
  loadPayload(Field.destinationPort, 6),
  lookUp('shared6', 0, { to: 0 }),
  translateDestination(NetfilterFamily.IPV6, 0, 4),
]
const slotOfAny = [...slot, loadMeta('l4proto', 1), loadPayload(Field.destinationPort, 2)]
const shareAny4 = [
  ...slotOfAny,
  lookUp('shared_any4', 0, { to: 0 }),
  translateDestination(NetfilterFamily.IPV4, 0, 1),
]
const shareAny6 = [
  ...slotOfAny,
  lookUp('shared_any6', 0, { to: 0 }),
  translateDestination(NetfilterFamily.IPV6, 0, 4),
]

/** A packet with a loopback destination counts only where the host itself sent it: otherwise a neighbour forged it. */
function translations(guard4: Rule): Rule[] {
  const to4 = [...isIpv4, ...guard4]
  const to6 = [...isIpv6, ...notToLoopback6]
  return [
    [...to4, ...translate4(destination4)],
    [...to4, ...share4],
    [...to4, ...toThisHost, ...translate4(anyDestination4)],
    [...to4, ...toThisHost, ...shareAny4],
    [...to6, ...translate6(destination6)],
    [...to6, ...share6],
    [...to6, ...toThisHost, ...translate6(anyDestination6)],
    [...to6, ...toThisHost, ...shareAny6],
  ]
}

interface ChainWithRules {
  readonly chain: BaseChain
  readonly rules: readonly Rule[]
}

const RAW: ChainWithRules = {
  chain: {
    name: 'raw_prerouting',
    type: 'filter',
    hook: Hook.PREROUTING,
    priority: -300,
    policy: Policy.ACCEPT,
  },
  rules: [[...fromBridge, ...isIpv4, ...toLoopback4, verdict('drop')]],
}

const PREROUTING: ChainWithRules = {
  chain: {
    name: 'nat_prerouting',
    type: 'nat',
    hook: Hook.PREROUTING,
    priority: -100,
    policy: Policy.ACCEPT,
  },
  rules: translations(notToLoopback4),
}

const OUTPUT: ChainWithRules = {
  chain: {
    name: 'nat_output',
    type: 'nat',
    hook: Hook.OUTPUT,
    priority: -100,
    policy: Policy.ACCEPT,
  },
  rules: translations([]),
}

const POSTROUTING: ChainWithRules = {
  chain: {
    name: 'nat_postrouting',
    type: 'nat',
    hook: Hook.POSTROUTING,
    priority: 100,
    policy: Policy.ACCEPT,
  },
  rules: [
    // A container can't answer to 127.0.0.1.
    [
      ...toBridge,
      ...isIpv4,
      loadPayload(Field.ipv4Source, 0),
      mask(0, EIGHT_BITS),
      compare(0, LOOPBACK4),
      masquerade(),
    ],
    // Hairpin: the answer must come back through the host, which knows of the translation. Where bridges call
    // iptables, this hook does not know the interface of origin: hence by address.
    [
      ...isIpv4,
      ...wasPublished,
      loadMeta('oifname', 0),
      loadPayload(Field.ipv4Source, 4),
      lookUp('homes4', 0),
      masquerade(),
    ],
    [
      ...isIpv6,
      ...wasPublished,
      loadMeta('oifname', 0),
      loadPayload(Field.ipv6Source, 4),
      lookUp('homes6', 0),
      masquerade(),
    ],
    [
      loadMeta('iifname', 0),
      lookUp('masqueraded', 0),
      loadMeta('oifname', 0),
      lookUp('bridges', 0, { not: true }),
      masquerade(),
    ],
  ],
}

function forward(policy: number): ChainWithRules {
  return {
    chain: { name: 'filter_forward', type: 'filter', hook: Hook.FORWARD, priority: 0, policy },
    rules: [
      [...established, verdict('accept')],
      [...withinNetwork, verdict('accept')],
      [loadMeta('iifname', 0), lookUp('internal', 0), reject()],
      [loadMeta('oifname', 0), lookUp('internal', 0), verdict('drop')],
      [...toBridge, ...wasPublished, verdict('accept')],
      [...fromBridge, ...toBridge, reject()],
      [...toBridge, verdict('drop')],
      [...fromBridge, verdict('accept')],
    ],
  }
}

/** Neighbour discovery (RFC 4861): router and neighbour solicitations and advertisements. */
const neighbourDiscovery = [133, 134, 135, 136].map((type): Rule => {
  return [
    loadMeta('l4proto', 0),
    compare(0, u8(IPPROTO_ICMPV6)),
    loadPayload(Field.icmpType, 0),
    compare(0, u8(type)),
    verdict('accept'),
  ]
})

const INPUT: ChainWithRules = {
  chain: {
    name: 'filter_input',
    type: 'filter',
    hook: Hook.INPUT,
    priority: 0,
    policy: Policy.ACCEPT,
  },
  rules: [
    [...established, verdict('accept')],
    [
      ...isIpv4,
      loadMeta('iifname', 0),
      loadPayload(Field.ipv4Destination, 4),
      lookUp('own4', 0),
      verdict('accept'),
    ],
    [
      ...isIpv6,
      loadMeta('iifname', 0),
      loadPayload(Field.ipv6Destination, 4),
      lookUp('own6', 0),
      verdict('accept'),
    ],
    [
      ...fromBridge,
      ...isIpv4,
      loadPayload(Field.ipv4Destination, 0),
      lookUp('gateways4', 0),
      reject(),
    ],
    [
      ...fromBridge,
      ...isIpv6,
      loadPayload(Field.ipv6Destination, 0),
      lookUp('gateways6', 0),
      reject(),
    ],
    ...neighbourDiscovery,
    [loadMeta('iifname', 0), lookUp('internal', 0), reject()],
  ],
}

/**
 * The table with its chains, rules and empty sets.
 * @param guard drop what is forwarded and is not ours: for a host that was no router before we made it one
 */
export function createRuleset(guard: boolean): NetlinkRequest[] {
  const chains = [
    RAW,
    PREROUTING,
    OUTPUT,
    POSTROUTING,
    forward(guard ? Policy.DROP : Policy.ACCEPT),
    INPUT,
  ]
  return [
    newTable(TABLE),
    ...Object.values(SETS).map((set, index) => newSet(TABLE, set, index + 1)),
    ...chains.flatMap(({ chain, rules }) => [
      newChain(TABLE, chain),
      ...rules.map((expressions) => newRule(TABLE, chain.name, { expressions })),
    ]),
  ]
}
