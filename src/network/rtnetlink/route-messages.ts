/** Routes over rtnetlink (man 7 rtnetlink). */
import {
  addressBits,
  addressBytes,
  addressFromBytes,
  formatAddress,
  subnetAround,
  type IpAddress,
  type Subnet,
} from '../ip-address.ts'
import { readAttributes, u32 } from '../netlink/attributes.ts'
import { RequestFlag, type NetlinkRequest } from '../netlink/messages.ts'

const RTM_NEWROUTE = 24
const RTM_GETROUTE = 26
const HEADER_BYTES = 12
const AF_INET = 2
const AF_INET6 = 10
const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RT_TABLE_MAIN = 254
const RTPROT_STATIC = 4
const RTN_UNICAST = 1
const RTN_LOCAL = 2

/** Sends what has no other route through a gateway; replaces the default route that was there. */
export function addDefaultRoute(interfaceIndex: number, gateway: IpAddress): NetlinkRequest {
  const header = Buffer.alloc(HEADER_BYTES) // struct rtmsg
  header.writeUInt8(gateway.family === 4 ? AF_INET : AF_INET6, 0)
  header.writeUInt8(RT_TABLE_MAIN, 4)
  header.writeUInt8(RTPROT_STATIC, 5)
  header.writeUInt8(RTN_UNICAST, 7)
  return {
    action: `add default route through ${formatAddress(gateway)}`,
    type: RTM_NEWROUTE,
    flags: RequestFlag.CREATE | RequestFlag.REPLACE,
    header,
    attributes: [
      [RTA_GATEWAY, addressBytes(gateway)],
      [RTA_OIF, u32(interfaceIndex)],
    ],
  }
}

/** The routes of all tables and families. */
export const LIST_ROUTES: NetlinkRequest = {
  action: 'list routes',
  type: RTM_GETROUTE,
  flags: RequestFlag.DUMP,
  header: Buffer.alloc(HEADER_BYTES),
  attributes: [],
}

/** Reads the body of an RTM_NEWROUTE message; undefined for default routes and those that are not unicast or local. */
export function decodeRoute(body: Buffer): { interfaceIndex: number; subnet: Subnet } | undefined {
  const attributes = readAttributes(body.subarray(HEADER_BYTES))
  const address = addressFromBytes(attributes.get(RTA_DST) ?? Buffer.alloc(0))
  const prefix = body.readUInt8(1)
  const type = body.readUInt8(7)
  if (address === undefined || prefix === 0 || prefix > addressBits(address.family))
    return undefined
  if (type !== RTN_UNICAST && type !== RTN_LOCAL) return undefined
  return {
    interfaceIndex: attributes.get(RTA_OIF)?.readUInt32LE(0) ?? 0,
    subnet: subnetAround(address, prefix),
  }
}
