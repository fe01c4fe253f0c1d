/** Addresses and subnets as numbers: text in, values out. IPv4 and IPv6 (RFC 4632, 4291, 5952). Pure. */
import { isIPv4, isIPv6 } from 'node:net'
import { TsstackError } from '../errors.ts'
import { be32 } from './netlink/attributes.ts'

export type Family = 4 | 6

export interface IpAddress {
  readonly family: Family
  readonly value: bigint
}

/** A block of addresses; `base` has no bits set beyond the prefix. */
export interface Subnet {
  readonly family: Family
  readonly base: bigint
  /** Length of the prefix: 0-32 or 0-128. */
  readonly prefix: number
}

/** How many bits an address of the family has. */
export function addressBits(family: Family): number {
  return family === 4 ? 32 : 128
}

/** Reads an address without prefix, zone or port; undefined when it is none. */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text))
    return {
      family: 4,
      value: text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n),
    }
  if (!isIPv6(text) || text.includes('%')) return undefined
  return { family: 6, value: parseIpv6(text) }
}

function parseIpv6(text: string): bigint {
  const [head = '', tail] = text.split('::')
  const left = groupsOf(head)
  const right = tail === undefined ? [] : groupsOf(tail)
  const zeros = new Array<bigint>(8 - left.length - right.length).fill(0n)
  return [...left, ...zeros, ...right].reduce((sum, group) => (sum << 16n) | group, 0n)
}

function groupsOf(text: string): bigint[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)]
    const value = parseAddress(group)?.value ?? 0n
    return [value >> 16n, value & 0xffffn]
  })
}

/** The canonical text of an address (RFC 5952). */
export function formatAddress(address: IpAddress): string {
  return address.family === 4 ? formatIpv4(address.value) : formatIpv6(address.value)
}

function formatIpv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join('.')
}

function formatIpv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16),
  )
  let best = { start: 0, length: 1 } // a single zero group is not shortened
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (groups[start + length] === '0') length++
    if (length > best.length) best = { start, length }
  }
  if (best.length === 1) return groups.join(':')
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`
}

/** The address in network byte order: 4 or 16 bytes. */
export function addressBytes(address: IpAddress): Uint8Array {
  const length = addressBits(address.family) / 8
  if (length === 4) return be32(Number(address.value))
  return Uint8Array.from({ length }, (_, index) =>
    Number((address.value >> BigInt((length - 1 - index) * 8)) & 255n),
  )
}

/** The address in 4 or 16 bytes of network byte order; undefined for another length. */
export function addressFromBytes(bytes: Uint8Array): IpAddress | undefined {
  if (bytes.length !== 4 && bytes.length !== 16) return undefined
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  return { family: bytes.length === 4 ? 4 : 6, value }
}

/**
 * Reads an address that must be one.
 * @throws {INVALID_ARGUMENT}
 */
export function requireAddress(text: string): IpAddress {
  const address = parseAddress(text)
  if (address === undefined)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use address "${text}": it is not an IP address`,
    )
  return address
}

/** Reads `10.0.0.0/24`; bits beyond the prefix are cleared. Undefined when it is no subnet. */
export function parseSubnet(text: string): Subnet | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text)
  const address = match?.[1] === undefined ? undefined : parseAddress(match[1])
  const prefix = Number(match?.[2])
  if (address === undefined || prefix > addressBits(address.family)) return undefined
  return subnetAround(address, prefix)
}

/**
 * Reads a subnet that must be one.
 * @throws {INVALID_ARGUMENT}
 */
export function requireSubnet(text: string): Subnet {
  const subnet = parseSubnet(text)
  if (subnet === undefined) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use subnet "${text}": it is not an address with a prefix length`,
      {
        hint: 'Write it as "10.5.0.0/24".',
      },
    )
  }
  return subnet
}

/** The subnet of this prefix length that the address is in. */
export function subnetAround(address: IpAddress, prefix: number): Subnet {
  const rest = BigInt(addressBits(address.family) - prefix)
  return { family: address.family, base: (address.value >> rest) << rest, prefix }
}

/** The text of a subnet: `10.0.0.0/24`. */
export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress({ family: subnet.family, value: subnet.base })}/${subnet.prefix}`
}

/** How many addresses a subnet has. */
export function subnetSize(subnet: Subnet): bigint {
  return 1n << BigInt(addressBits(subnet.family) - subnet.prefix)
}

/** The highest address of a subnet (IPv4: its broadcast address). */
export function lastAddress(subnet: Subnet): bigint {
  return subnet.base + subnetSize(subnet) - 1n
}

/** Whether an address lies in a subnet. */
export function contains(subnet: Subnet, address: IpAddress): boolean {
  return (
    subnet.family === address.family &&
    address.value >= subnet.base &&
    address.value <= lastAddress(subnet)
  )
}

/** Whether two subnets share an address. */
export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.family === b.family && a.base <= lastAddress(b) && b.base <= lastAddress(a)
}
