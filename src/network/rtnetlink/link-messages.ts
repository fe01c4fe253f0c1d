/** Network interfaces over rtnetlink: requests as data, answers as records. man 7 rtnetlink, include/uapi/linux/if_link.h. */
import {
  attributesSize,
  readAttributes,
  readText,
  text,
  u32,
  u8,
  writeAttributes,
  type Attribute,
} from '../netlink/attributes.ts'
import { RequestFlag, type NetlinkRequest } from '../netlink/messages.ts'

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_SETLINK = 19
const HEADER_BYTES = 16
const AF_INET = 2
const AF_INET6 = 10
const IFF_UP = 1

const Ifla = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  LINKINFO: 18,
  IFALIAS: 20,
  AF_SPEC: 26,
  NET_NS_FD: 28,
  EXT_MASK: 29,
} as const
/** Counters are most of what the kernel tells of an interface (Linux 4.15; before it they come). */
const RTEXT_FILTER_SKIP_STATS = 8
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_INFO_SLAVE_KIND = 4
const IFLA_INFO_SLAVE_DATA = 5
const VETH_INFO_PEER = 1
const IFLA_BRPORT_MODE = 4
/** Nothing goes from one such port to another (Linux 4.18). */
const IFLA_BRPORT_ISOLATED = 33
const IFLA_MACVLAN_MODE = 1
const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const
const IFLA_INET_CONF = 1
const IPV4_DEVCONF_ROUTE_LOCALNET = 26
const IFLA_INET6_ADDR_GEN_MODE = 8
const ADDR_GEN_MODE_NONE = 1

/** An interface as the kernel lists it. */
export interface Link {
  readonly index: number
  readonly name: string
  /** `bridge`, `veth`, empty for hardware. */
  readonly kind: string
  readonly alias: string
  readonly up: boolean
  readonly mtu: number
  /** Index of the bridge that it is a port of; 0: none. */
  readonly master: number
  /** `02:42:0a:00:00:02` */
  readonly mac: string
}

interface LinkHeader {
  readonly index?: number
  readonly up?: boolean
}

function linkHeader(options: LinkHeader): Buffer {
  const header = Buffer.alloc(HEADER_BYTES) // struct ifinfomsg
  header.writeInt32LE(options.index ?? 0, 4)
  if (options.up === true) {
    header.writeUInt32LE(IFF_UP, 8)
    header.writeUInt32LE(IFF_UP, 12) // which flags to change
  }
  return header
}

/** The six bytes of `02:42:0a:00:00:02`. */
export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (part) => Number.parseInt(part, 16))
}

export interface BridgeRequest {
  readonly name: string
  /** Shown by `ip link`; at most 255 bytes. */
  readonly alias: string
  readonly mac: string
  readonly mtu?: number
}

/** Makes a bridge, not up yet. EEXIST where there is one of this name. */
export function createBridge(bridge: BridgeRequest): NetlinkRequest {
  const mtu: Attribute[] = bridge.mtu === undefined ? [] : [[Ifla.MTU, u32(bridge.mtu)]]
  return {
    action: `create bridge "${bridge.name}"`,
    type: RTM_NEWLINK,
    flags: RequestFlag.CREATE | RequestFlag.EXCL,
    header: linkHeader({}),
    attributes: [
      [Ifla.IFNAME, text(bridge.name)],
      [Ifla.ADDRESS, macBytes(bridge.mac)],
      [Ifla.IFALIAS, Buffer.from(bridge.alias)],
      ...mtu,
      [Ifla.LINKINFO, [[IFLA_INFO_KIND, text('bridge')]]],
    ],
  }
}

/** IPv6 makes no link-local address by itself: it would be unusable for a second, until its uniqueness is proved. */
const NO_LINK_LOCAL: Attribute = [AF_INET6, [[IFLA_INET6_ADDR_GEN_MODE, u8(ADDR_GEN_MODE_NONE)]]]
const ROUTE_LOCALNET: Attribute = [
  AF_INET,
  [[IFLA_INET_CONF, [[IPV4_DEVCONF_ROUTE_LOCALNET, u32(1)]]]],
]

/**
 * Sets a bridge's alias and lets packets from 127.0.0.0/8 be routed through it: `curl localhost:PORT` is translated to
 * a container's address with its loopback source (the firewall masquerades it).
 */
export function prepareBridge(bridge: BridgeRequest): NetlinkRequest {
  return {
    action: `set up bridge "${bridge.name}"`,
    type: RTM_SETLINK,
    flags: 0,
    header: linkHeader({}),
    attributes: [
      [Ifla.IFNAME, text(bridge.name)],
      [Ifla.IFALIAS, Buffer.from(bridge.alias)],
      [Ifla.AF_SPEC, [ROUTE_LOCALNET, NO_LINK_LOCAL]],
    ],
  }
}

export interface VethRequest {
  /** Of the host's end. */
  readonly name: string
  /** Index of the bridge that the host's end is a port of. */
  readonly bridgeIndex: number
  readonly mtu?: number
  readonly peer: {
    readonly name: string
    readonly mac: string
    readonly netnsFd: number
  }
}

/** Makes a veth pair: this end in the bridge, the other born in its namespace, both down. EEXIST where a name is taken. */
export function createVeth(veth: VethRequest): NetlinkRequest {
  const mtu: Attribute[] = veth.mtu === undefined ? [] : [[Ifla.MTU, u32(veth.mtu)]]
  return {
    action: `create veth pair "${veth.name}"`,
    type: RTM_NEWLINK,
    flags: RequestFlag.CREATE | RequestFlag.EXCL,
    header: linkHeader({}),
    attributes: [
      [Ifla.IFNAME, text(veth.name)],
      [Ifla.MASTER, u32(veth.bridgeIndex)],
      ...mtu,
      [
        Ifla.LINKINFO,
        [
          [IFLA_INFO_KIND, text('veth')],
          [IFLA_INFO_DATA, [[VETH_INFO_PEER, peerData(veth)]]],
        ],
      ],
    ],
  }
}

export type MacvlanMode = keyof typeof MACVLAN_MODES

export interface MacvlanRequest {
  readonly name: string
  /** Index of the interface that it shares. */
  readonly parentIndex: number
  readonly mode: MacvlanMode
  readonly mac: string
  readonly netnsFd: number
  readonly mtu?: number
}

/** Makes an interface with a link-layer address of its own on top of one of the host, born in its namespace, down. */
export function createMacvlan(macvlan: MacvlanRequest): NetlinkRequest {
  const mtu: Attribute[] = macvlan.mtu === undefined ? [] : [[Ifla.MTU, u32(macvlan.mtu)]]
  return {
    action: `create macvlan interface "${macvlan.name}"`,
    type: RTM_NEWLINK,
    flags: RequestFlag.CREATE | RequestFlag.EXCL,
    header: linkHeader({}),
    attributes: [
      [Ifla.IFNAME, text(macvlan.name)],
      [Ifla.LINK, u32(macvlan.parentIndex)],
      [Ifla.ADDRESS, macBytes(macvlan.mac)],
      [Ifla.NET_NS_FD, u32(macvlan.netnsFd)],
      ...mtu,
      [
        Ifla.LINKINFO,
        [
          [IFLA_INFO_KIND, text('macvlan')],
          [IFLA_INFO_DATA, [[IFLA_MACVLAN_MODE, u32(MACVLAN_MODES[macvlan.mode])]]],
        ],
      ],
    ],
  }
}

/** The peer's own ifinfomsg and attributes, in the bytes of one attribute. */
function peerData(veth: VethRequest): Uint8Array {
  const mtu: Attribute[] = veth.mtu === undefined ? [] : [[Ifla.MTU, u32(veth.mtu)]]
  const attributes: Attribute[] = [
    [Ifla.IFNAME, text(veth.peer.name)],
    [Ifla.ADDRESS, macBytes(veth.peer.mac)],
    [Ifla.NET_NS_FD, u32(veth.peer.netnsFd)],
    ...mtu,
  ]
  const bytes = Buffer.alloc(HEADER_BYTES + attributesSize(attributes))
  bytes.set(linkHeader({}))
  writeAttributes(bytes, HEADER_BYTES, attributes)
  return bytes
}

/**
 * Sets up a port of a bridge: the bridge may send a frame back out of the port that it came from, which is how a
 * container reaches its own published port where bridges call iptables.
 */
export function preparePort(name: string, { isolated = false } = {}): NetlinkRequest {
  const port: Attribute[] = [
    [IFLA_INFO_SLAVE_KIND, text('bridge')],
    [
      IFLA_INFO_SLAVE_DATA,
      [
        [IFLA_BRPORT_MODE, u8(1)],
        [IFLA_BRPORT_ISOLATED, u8(isolated ? 1 : 0)],
      ],
    ],
  ]
  return {
    action: `set up bridge port "${name}"`,
    type: RTM_NEWLINK,
    flags: 0,
    header: linkHeader({}),
    attributes: [
      [Ifla.IFNAME, text(name)],
      [Ifla.LINKINFO, port],
      [Ifla.AF_SPEC, [NO_LINK_LOCAL]],
    ],
  }
}

/** Sets up the container's end of a pair. */
export function prepareInterface(index: number): NetlinkRequest {
  return {
    action: `set up interface ${index}`,
    type: RTM_SETLINK,
    flags: 0,
    header: linkHeader({ index }),
    attributes: [[Ifla.AF_SPEC, [NO_LINK_LOCAL]]],
  }
}

/** Brings an interface up. */
export function bringUp(link: string | number): NetlinkRequest {
  return {
    action: `bring up interface "${link}"`,
    type: RTM_SETLINK,
    flags: 0,
    header: linkHeader(typeof link === 'number' ? { index: link, up: true } : { up: true }),
    attributes: typeof link === 'number' ? [] : [[Ifla.IFNAME, text(link)]],
  }
}

/** Deletes an interface by name, with what hangs on it. ENODEV where there is none. */
export function deleteLink(name: string): NetlinkRequest {
  return {
    action: `delete interface "${name}"`,
    type: RTM_DELLINK,
    flags: 0,
    header: linkHeader({}),
    attributes: [[Ifla.IFNAME, text(name)]],
  }
}

/** All interfaces, without their counters. */
export const LIST_LINKS: NetlinkRequest = {
  action: 'list interfaces',
  type: RTM_GETLINK,
  flags: RequestFlag.DUMP,
  header: linkHeader({}),
  attributes: [[Ifla.EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS)]],
}

/** One interface, by name. ENODEV where there is none. */
export function getLink(name: string): NetlinkRequest {
  const attributes: Attribute[] = [[Ifla.IFNAME, text(name)]]
  return {
    action: `find interface "${name}"`,
    type: RTM_GETLINK,
    flags: 0,
    header: linkHeader({}),
    attributes,
  }
}

/** Reads the body of an RTM_NEWLINK message. */
export function decodeLink(body: Buffer): Link {
  const attributes = readAttributes(body.subarray(HEADER_BYTES))
  const info = readAttributes(attributes.get(Ifla.LINKINFO) ?? Buffer.alloc(0))
  const mac = attributes.get(Ifla.ADDRESS) ?? Buffer.alloc(0)
  return {
    index: body.readInt32LE(4),
    name: readText(attributes.get(Ifla.IFNAME)),
    kind: readText(info.get(IFLA_INFO_KIND)),
    alias: readText(attributes.get(Ifla.IFALIAS)),
    up: (body.readUInt32LE(8) & IFF_UP) !== 0,
    mtu: attributes.get(Ifla.MTU)?.readUInt32LE(0) ?? 0,
    master: attributes.get(Ifla.MASTER)?.readUInt32LE(0) ?? 0,
    mac: Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':'),
  }
}
