/** Interface addresses over rtnetlink (man 7 rtnetlink, include/uapi/linux/if_addr.h). */
import {
  addressBytes,
  addressFromBytes,
  lastAddress,
  subnetAround,
  type IpAddress,
  type Subnet,
} from '../ip-address.ts'
import { readAttributes, u32, type Attribute } from '../netlink/attributes.ts'
import { RequestFlag, type NetlinkRequest } from '../netlink/messages.ts'

const RTM_NEWADDR = 20
const RTM_GETADDR = 22
const HEADER_BYTES = 8
const AF_INET = 2
const AF_INET6 = 10
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_BROADCAST = 4
const IFA_FLAGS = 8
/** No duplicate address detection: the address is ours by our own book, and is usable at once. */
const IFA_F_NODAD = 2

/** An address on an interface, with the length of its network's prefix. */
export interface InterfaceAddress {
  readonly address: IpAddress
  readonly prefix: number
}

/** Gives an interface an address; repeated, it changes nothing. */
export function addAddress(
  interfaceIndex: number,
  { address, prefix }: InterfaceAddress,
): NetlinkRequest {
  const header = Buffer.alloc(HEADER_BYTES) // struct ifaddrmsg
  header.writeUInt8(address.family === 4 ? AF_INET : AF_INET6, 0)
  header.writeUInt8(prefix, 1)
  header.writeUInt32LE(interfaceIndex, 4)
  const bytes = addressBytes(address)
  const attributes: Attribute[] = [
    [IFA_LOCAL, bytes],
    [IFA_ADDRESS, bytes],
  ]
  if (address.family === 6) attributes.push([IFA_FLAGS, u32(IFA_F_NODAD)])
  else if (prefix < 31) attributes.push([IFA_BROADCAST, broadcastBytes(address, prefix)])
  return {
    action: `add address to interface ${interfaceIndex}`,
    type: RTM_NEWADDR,
    flags: RequestFlag.CREATE | RequestFlag.REPLACE,
    header,
    attributes,
  }
}

function broadcastBytes(address: IpAddress, prefix: number): Uint8Array {
  return addressBytes({ family: 4, value: lastAddress(subnetAround(address, prefix)) })
}

/** The addresses of all interfaces. */
export const LIST_ADDRESSES: NetlinkRequest = {
  action: 'list addresses',
  type: RTM_GETADDR,
  flags: RequestFlag.DUMP,
  header: Buffer.alloc(HEADER_BYTES),
  attributes: [],
}

/** Reads the body of an RTM_NEWADDR message: the interface and the subnet that it says is there. */
export function decodeAddress(
  body: Buffer,
): { interfaceIndex: number; address: IpAddress; subnet: Subnet } | undefined {
  const attributes = readAttributes(body.subarray(HEADER_BYTES))
  const address = addressFromBytes(attributes.get(IFA_ADDRESS) ?? Buffer.alloc(0))
  if (address === undefined) return undefined
  const subnet = subnetAround(address, body.readUInt8(1))
  return { interfaceIndex: body.readUInt32LE(4), address, subnet }
}
