/** The sets and maps of the table `inet tsstack`: what its few rules look up. */
import { be16 } from '../netlink/attributes.ts'
import type { SetDefinition } from './nf-tables.ts'

// Data types as nft prints them by (include/datatype.h of nftables); concatenations shift by 6 bits.
const Type = { IPV4: 7, IPV6: 8, PROTOCOL: 12, PORT: 13, INTERFACE: 41 } as const
const INTERFACE_BYTES = 16

function concatenate(...types: readonly number[]): number {
  return types.reduce((sum, type) => (sum << 6) | type, 0)
}

const interfaces = { keyType: Type.INTERFACE, keyBytes: INTERFACE_BYTES, hostOrder: true }

/** Of a port that containers share: so many, each of which leads to one of them. */
const SLOTS = 256

/**
 * A connection's slot is told by bits of its source port, the lowest left out: Linux prefers even ones. So ports that follow
 * each other have different slots, a client's datagrams from one port always the same, and nft can read what it prints.
 */
export const SLOT_BITS = (SLOTS - 1) << 1

/** All slots, as the maps of shared ports have them. */
export const SLOT_KEYS: readonly Uint8Array[] = Array.from({ length: SLOTS }, (_, slot) =>
  Uint8Array.of(...be16(slot << 1), 0, 0),
)

/** Where a published port leads. */
const TO_CONTAINER4 = { dataType: concatenate(Type.IPV4, Type.PORT), dataBytes: 8 }
const TO_CONTAINER6 = { dataType: concatenate(Type.IPV6, Type.PORT), dataBytes: 20 }

/** All sets and maps, by what they hold. */
export const SETS = {
  /** Our bridges. */
  bridges: { name: 'bridges', ...interfaces },
  internal: { name: 'internal', ...interfaces },
  /** Bridges whose outgoing traffic gets the host's address. */
  masqueraded: { name: 'masqueraded', ...interfaces },
  /** A bridge and itself: traffic within a network. */
  loops: {
    name: 'loops',
    keyType: concatenate(Type.INTERFACE, Type.INTERFACE),
    keyBytes: 2 * INTERFACE_BYTES,
  },
  gateways4: { name: 'gateways4', keyType: Type.IPV4, keyBytes: 4 },
  gateways6: { name: 'gateways6', keyType: Type.IPV6, keyBytes: 16 },
  /** A bridge and its own gateway. */
  own4: {
    name: 'own4',
    keyType: concatenate(Type.INTERFACE, Type.IPV4),
    keyBytes: INTERFACE_BYTES + 4,
  },
  own6: {
    name: 'own6',
    keyType: concatenate(Type.INTERFACE, Type.IPV6),
    keyBytes: INTERFACE_BYTES + 16,
  },
  /** A bridge and the subnets behind it. */
  homes4: {
    name: 'homes4',
    keyType: concatenate(Type.INTERFACE, Type.IPV4),
    keyBytes: INTERFACE_BYTES + 4,
    fields: [INTERFACE_BYTES, 4],
  },
  homes6: {
    name: 'homes6',
    keyType: concatenate(Type.INTERFACE, Type.IPV6),
    keyBytes: INTERFACE_BYTES + 16,
    fields: [INTERFACE_BYTES, 16],
  },
  published4: {
    name: 'published4',
    keyType: concatenate(Type.IPV4, Type.PROTOCOL, Type.PORT),
    keyBytes: 12,
    ...TO_CONTAINER4,
  },
  published6: {
    name: 'published6',
    keyType: concatenate(Type.IPV6, Type.PROTOCOL, Type.PORT),
    keyBytes: 24,
    ...TO_CONTAINER6,
  },
  /** Where containers share a port: as `published4`, with a slot in front. */
  shared4: {
    name: 'shared4',
    keyType: concatenate(Type.PORT, Type.IPV4, Type.PROTOCOL, Type.PORT),
    keyBytes: 16,
    ...TO_CONTAINER4,
  },
  shared6: {
    name: 'shared6',
    keyType: concatenate(Type.PORT, Type.IPV6, Type.PROTOCOL, Type.PORT),
    keyBytes: 28,
    ...TO_CONTAINER6,
  },
  /** The same of any local address: nft can read one mask in a key, which is that of the slot. */
  sharedAny4: {
    name: 'shared_any4',
    keyType: concatenate(Type.PORT, Type.PROTOCOL, Type.PORT),
    keyBytes: 12,
    ...TO_CONTAINER4,
  },
  sharedAny6: {
    name: 'shared_any6',
    keyType: concatenate(Type.PORT, Type.PROTOCOL, Type.PORT),
    keyBytes: 12,
    ...TO_CONTAINER6,
  },
} as const satisfies Record<string, SetDefinition>

export type SetName = keyof typeof SETS
