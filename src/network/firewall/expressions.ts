/**
 * The words of a rule: small programs for the virtual machine of nf_tables, which has 16 registers of 4 bytes. A rule
 * goes on as long as its comparisons hold. include/uapi/linux/netfilter/nf_tables.h. Pure.
 */
import { be32, text, type Attribute } from '../netlink/attributes.ts'

const EXPRESSION_NAME = 1
const EXPRESSION_DATA = 2
const DATA_VALUE = 1
const DATA_VERDICT = 2
const VERDICT_CODE = 1
const VERDICT_REGISTER = 0
/** NFT_REG32_00: registers are counted from here. */
const FIRST_REGISTER = 8
const META_KEY = { iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const
const CT_KEY = { state: 0, status: 2 } as const
const PAYLOAD_BASE = { network: 1, transport: 2 } as const
const VERDICT = { drop: 0, accept: 1 } as const
const FIB_RESULT_ADDRESS_TYPE = 3
const FIB_DESTINATION = 2
const REJECT_ICMPX_UNREACH = 2
const ICMPX_ADMIN_PROHIBITED = 3

/** The attributes of one expression. */
export type Expression = readonly Attribute[]

/** Register by number: 0-15, 4 bytes each; longer values take the ones that follow. */
type Register = number

function expression(name: string, data: readonly Attribute[]): Expression {
  return [
    [EXPRESSION_NAME, text(name)],
    [EXPRESSION_DATA, data],
  ]
}

function register(number: Register): Uint8Array {
  return be32(FIRST_REGISTER + number)
}

/** Loads a property of the packet. Names take 16 bytes. */
export function loadMeta(key: keyof typeof META_KEY, to: Register): Expression {
  return expression('meta', [
    [1, register(to)],
    [2, be32(META_KEY[key])],
  ])
}

export interface Payload {
  readonly base: keyof typeof PAYLOAD_BASE
  /** Bytes. */
  readonly offset: number
  readonly length: number
}

/** Fields of headers. */
export const Field = {
  ipv4Source: { base: 'network', offset: 12, length: 4 },
  ipv6Source: { base: 'network', offset: 8, length: 16 },
  ipv4Destination: { base: 'network', offset: 16, length: 4 },
  ipv6Destination: { base: 'network', offset: 24, length: 16 },
  sourcePort: { base: 'transport', offset: 0, length: 2 },
  destinationPort: { base: 'transport', offset: 2, length: 2 },
  icmpType: { base: 'transport', offset: 0, length: 1 },
} as const satisfies Record<string, Payload>

/** Loads a part of the packet. */
export function loadPayload(field: Payload, to: Register): Expression {
  return expression('payload', [
    [1, register(to)],
    [2, be32(PAYLOAD_BASE[field.base])],
    [3, be32(field.offset)],
    [4, be32(field.length)],
  ])
}

/** Loads what connection tracking knows. */
export function loadConnection(key: keyof typeof CT_KEY, to: Register): Expression {
  return expression('ct', [
    [1, register(to)],
    [2, be32(CT_KEY[key])],
  ])
}

/** Loads what kind of address the destination is (RTN_LOCAL: 2), 4 bytes in the host's order. */
export function loadDestinationType(to: Register): Expression {
  return expression('fib', [
    [1, register(to)],
    [2, be32(FIB_RESULT_ADDRESS_TYPE)],
    [3, be32(FIB_DESTINATION)],
  ])
}

/** Goes on if the register holds (or, with `not`, does not hold) the value. */
export function compare(
  from: Register,
  value: Uint8Array,
  options: { readonly not?: boolean } = {},
): Expression {
  return expression('cmp', [
    [1, register(from)],
    [2, be32(options.not === true ? 1 : 0)],
    [3, [[DATA_VALUE, value]]],
  ])
}

/** Keeps only the bits of the mask. */
export function mask(at: Register, bits: Uint8Array): Expression {
  return expression('bitwise', [
    [1, register(at)],
    [2, register(at)],
    [3, be32(bits.length)],
    [4, [[DATA_VALUE, bits]]],
    [5, [[DATA_VALUE, new Uint8Array(bits.length)]]],
  ])
}

/** Goes on if the set has the key that starts at the register (or, with `not`, has not); of a map, loads its data. */
export function lookUp(
  set: string,
  from: Register,
  options: { readonly not?: boolean; readonly to?: Register } = {},
): Expression {
  const data: Attribute[] = [
    [1, text(set)],
    [2, register(from)],
  ]
  if (options.to !== undefined) data.push([3, register(options.to)])
  if (options.not === true) data.push([5, be32(1)])
  return expression('lookup', data)
}

/** Sends the packet to the address and port in the registers. */
export function translateDestination(
  family: number,
  address: Register,
  port: Register,
): Expression {
  return expression('nat', [
    [1, be32(1)],
    [2, be32(family)],
    [3, register(address)],
    [5, register(port)],
  ])
}

/** Gives the packet the address of the interface that it leaves by. */
export function masquerade(): Expression {
  return expression('masq', [])
}

/** Counts packets and bytes. */
export function count(): Expression {
  return expression('counter', [])
}

/** Ends this chain. */
export function verdict(word: keyof typeof VERDICT): Expression {
  return expression('immediate', [
    [1, be32(VERDICT_REGISTER)],
    [2, [[DATA_VERDICT, [[VERDICT_CODE, be32(VERDICT[word])]]]]],
  ])
}

/** Drops the packet and tells its sender so: connections fail at once instead of running into a time-out. */
export function reject(): Expression {
  return expression('reject', [
    [1, be32(REJECT_ICMPX_UNREACH)],
    [2, Uint8Array.of(ICMPX_ADMIN_PROHIBITED)],
  ])
}
