/** Names and link-layer addresses that follow from what they belong to, so that nothing need be remembered. Pure. */
import { createHash } from 'node:crypto'
import { addressBytes, type IpAddress } from './ip-address.ts'

/** Every bridge that is ours. */
export const BRIDGE_PREFIX = 'ts-'
/** The host's end of every veth pair that is ours. */
export const VETH_PREFIX = 'tsv'

function digest(words: readonly string[]): string {
  return createHash('sha256').update(words.join('\0')).digest('hex')
}

/** The name of a network's bridge, 13 characters (the kernel allows 15), from the network's id or name. */
export function bridgeName(network: string): string {
  return BRIDGE_PREFIX + digest([network]).slice(0, 10)
}

/** The name of the host's end of a container's veth pair, 15 characters. */
export function vethName(container: string, network: string): string {
  return VETH_PREFIX + digest([container, network]).slice(0, 12)
}

/** A locally administered link-layer address that follows from the IPv4 address, as Docker has it: 02:42 and the four bytes. */
export function macOf(address: IpAddress): string {
  const bytes = [0x02, 0x42, ...addressBytes(address).slice(-4)]
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}

/** The link-local address that follows from a link-layer address (RFC 4291, appendix A: modified EUI-64). */
export function linkLocalOf(mac: string): IpAddress {
  const [first = 0, ...rest] = mac.split(':').map((part) => Number.parseInt(part, 16))
  const bytes = [first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)]
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  return { family: 6, value: (0xfe80n << 112n) | value }
}
