/**
 * The bridge driver: a network is a bridge of the host with the gateway's addresses, an endpoint a veth pair with one
 * end in the bridge and the other in the container's namespace. All calls are synchronous, a few messages each, and can
 * be repeated after a crash at any point.
 */
import { TsstackError } from '../errors.ts'
import { NetlinkProtocol } from '../kernel/netlink-socket.ts'
import { BRIDGE_PREFIX, linkLocalOf, macOf, VETH_PREFIX } from './interface-names.ts'
import { formatAddress, requireAddress, requireSubnet, type Subnet } from './ip-address.ts'
import {
  borrowConnection,
  NetlinkError,
  openConnection,
  query,
  transact,
  type NetlinkConnection,
} from './netlink/connection.ts'
import type { NetlinkRequest } from './netlink/messages.ts'
import {
  addAddress,
  decodeAddress,
  LIST_ADDRESSES,
  type InterfaceAddress,
} from './rtnetlink/address-messages.ts'
import {
  bringUp,
  createBridge,
  createMacvlan,
  createVeth,
  decodeLink,
  deleteLink,
  getLink,
  LIST_LINKS,
  prepareBridge,
  prepareInterface,
  preparePort,
  type Link,
  type MacvlanMode,
} from './rtnetlink/link-messages.ts'
import { addDefaultRoute, decodeRoute, LIST_ROUTES } from './rtnetlink/route-messages.ts'

const ALIAS_PREFIX = 'tsstack:'
const LOOPBACK_INDEX = 1
const LINK_LOCAL_PREFIX = 64
const MAX_ENDPOINTS = 64

/** A network as the driver makes it. Plain JSON. */
export interface NetworkRecord {
  readonly id: string
  readonly name: string
  /** Interface name of the bridge; see `bridgeName`. */
  readonly bridge: string
  /** At least one. */
  readonly subnets: readonly { readonly subnet: string; readonly gateway: string }[]
  /** Neither in nor out, but for the gateway itself (DNS). */
  readonly internal: boolean
  /** Bytes, 68-65535. Default: the kernel's, 1500. */
  readonly mtu?: number
}

/** Where a container's network is configured from outside; made by kernel/namespaces.ts. */
export interface Sandbox {
  readonly netnsFd: number
  /** An rtnetlink socket that was opened inside. */
  readonly netlinkFd: number
}

/** One interface of a container. */
export interface EndpointRecord {
  /** Interface name of the bridge. */
  readonly bridge: string
  /** Interface name of the host's end; see `vethName`. */
  readonly hostInterface: string
  /** Interface name inside: `eth0`. */
  readonly interfaceName: string
  readonly mac: string
  /** With the network's prefix length: `10.0.0.2/24`. */
  readonly addresses: readonly string[]
  /** Default routes, one for each family at most; empty where another endpoint has them or the network is internal. */
  readonly gateways: readonly string[]
  readonly mtu?: number
  /** It does not reach the others of its bridge. */
  readonly isolated?: true
  /** Instead of a veth pair: an interface on top of one of the host; `bridge` and `hostInterface` mean nothing then. */
  readonly macvlan?: { readonly parent: string; readonly mode: MacvlanMode }
}

/** A bridge of ours that is there, whether or not anything is known of it. */
export interface BridgeSummary {
  readonly bridge: string
  /** Name of the network that it was made for. */
  readonly network: string
  readonly index: number
}

/** The interfaces of the host by name, and the addresses of each by its index: `10.0.0.1/24`. */
export interface HostInterfaces {
  readonly links: ReadonlyMap<string, Link>
  readonly addresses: ReadonlyMap<number, ReadonlySet<string>>
}

/** The driver of one network namespace: the host's. */
export interface NetworkDriver {
  /** Of its rtnetlink socket. */
  readonly fd: number
  /** Makes the bridge, or repairs it. @returns its interface index */
  ensureNetwork(record: NetworkRecord): number
  /** Deletes the bridge; without an error where it is gone. */
  removeNetwork(bridge: string): void
  /** @throws {NOT_FOUND} when the host has no interface of this name */
  requireInterface(name: string): void
  /** What is there now: one dump each of interfaces and addresses. */
  inspect(): HostInterfaces
  /** For sweeping what nobody knows of. */
  listBridges(): BridgeSummary[]
  /** The host's ends of all pairs of containers. */
  listPairs(): string[]
  /** Subnets that the host has routes to or addresses in, but for those of `exceptBridges`. */
  listHostSubnets(exceptBridges?: readonly string[]): Subnet[]
  /** Brings up loopback and the endpoints of a container; the bridges must be there. */
  attachEndpoints(sandbox: Sandbox, endpoints: readonly EndpointRecord[]): void
  /** For a container that goes on running: a veth pair of one that ended goes with its namespace. */
  detachEndpoint(hostInterface: string): void
  close(): void
}

/**
 * Opens the driver in the calling thread's network namespace.
 * @throws {SYSCALL_FAILED}
 */
export function openNetworkDriver(): NetworkDriver {
  const connection = openConnection(NetlinkProtocol.ROUTE)
  const bridgeIndexes = new Map<string, number>()
  return {
    fd: connection.fd,
    ensureNetwork: (record) => {
      const index = ensureBridge(connection, record)
      bridgeIndexes.set(record.bridge, index)
      return index
    },
    removeNetwork: (bridge) => {
      bridgeIndexes.delete(bridge)
      transact(connection, [{ ...deleteLink(bridge), tolerate: ['ENODEV'] }])
    },
    requireInterface: (name) => {
      parentIndex(connection, name)
    },
    inspect: () => inspect(connection),
    listBridges: () => listBridges(connection),
    listPairs: () => listPairs(connection),
    listHostSubnets: (exceptBridges = []) => listHostSubnets(connection, exceptBridges),
    attachEndpoints: (sandbox, endpoints) => {
      attachEndpoints({ connection, bridgeIndexes }, sandbox, endpoints)
    },
    detachEndpoint: (hostInterface) => {
      transact(connection, [{ ...deleteLink(hostInterface), tolerate: ['ENODEV'] }])
    },
    close: () => {
      connection.close()
    },
  }
}

function findLink(connection: NetlinkConnection, name: string): Link | undefined {
  try {
    const [body] = query(connection, getLink(name))
    return body === undefined ? undefined : decodeLink(body)
  } catch (error) {
    if (error instanceof NetlinkError && error.errnoName === 'ENODEV') return undefined
    throw error
  }
}

function ensureBridge(connection: NetlinkConnection, record: NetworkRecord): number {
  const gateways = record.subnets.map(({ subnet, gateway }) => {
    return { address: requireAddress(gateway), prefix: requireSubnet(subnet).prefix }
  })
  const [first] = gateways
  if (first === undefined)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot create network "${record.name}": it has no subnet`,
    )
  const bridge = {
    name: record.bridge,
    alias: `${ALIAS_PREFIX}${record.name}`.slice(0, 200),
    // A fixed address: otherwise a bridge takes the lowest of its ports' and changes it while containers come and go.
    mac: macOf(first.address),
    ...(record.mtu === undefined ? {} : { mtu: record.mtu }),
  }
  transact(connection, [{ ...createBridge(bridge), tolerate: ['EEXIST'] }])
  const link = findLink(connection, record.bridge)
  if (link?.kind !== 'bridge') {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot create bridge "${record.bridge}": the name belongs to another interface`,
    )
  }
  const addresses = withLinkLocal(gateways, bridge.mac)
  transact(connection, [
    prepareBridge(bridge),
    ...addresses.map((address) => addAddress(link.index, address)),
    bringUp(record.bridge),
  ])
  return link.index
}

/** IPv6 needs a link-local address (RFC 4291): ours is there at once, without proof that nobody else has it. */
function withLinkLocal(addresses: readonly InterfaceAddress[], mac: string): InterfaceAddress[] {
  if (addresses.every(({ address }) => address.family === 4)) return [...addresses]
  return [...addresses, { address: linkLocalOf(mac), prefix: LINK_LOCAL_PREFIX }]
}

function listBridges(connection: NetlinkConnection): BridgeSummary[] {
  return query(connection, LIST_LINKS)
    .map(decodeLink)
    .filter(
      (link) =>
        link.kind === 'bridge' &&
        link.name.startsWith(BRIDGE_PREFIX) &&
        link.alias.startsWith(ALIAS_PREFIX),
    )
    .map((link) => ({
      bridge: link.name,
      network: link.alias.slice(ALIAS_PREFIX.length),
      index: link.index,
    }))
}

function listPairs(connection: NetlinkConnection): string[] {
  return query(connection, LIST_LINKS)
    .map(decodeLink)
    .filter(({ kind, name }) => kind === 'veth' && name.startsWith(VETH_PREFIX))
    .map(({ name }) => name)
}

function inspect(connection: NetlinkConnection): HostInterfaces {
  const links = query(connection, LIST_LINKS).map(decodeLink)
  const addresses = new Map<number, Set<string>>()
  for (const body of query(connection, LIST_ADDRESSES)) {
    const found = decodeAddress(body)
    if (found === undefined) continue
    const { interfaceIndex, address, subnet } = found
    const known = addresses.get(interfaceIndex) ?? new Set()
    addresses.set(interfaceIndex, known.add(`${formatAddress(address)}/${String(subnet.prefix)}`))
  }
  return { links: new Map(links.map((link) => [link.name, link])), addresses }
}

function listHostSubnets(
  connection: NetlinkConnection,
  exceptBridges: readonly string[],
): Subnet[] {
  const ours = new Set(exceptBridges.map((bridge) => findLink(connection, bridge)?.index))
  const routes = query(connection, LIST_ROUTES).map(decodeRoute)
  const addresses = query(connection, LIST_ADDRESSES).map(decodeAddress)
  return [...routes, ...addresses].flatMap((found) => {
    return found === undefined || ours.has(found.interfaceIndex) ? [] : [found.subnet]
  })
}

interface Host {
  readonly connection: NetlinkConnection
  /** Indexes of bridges, as far as they are known; a bridge that was made anew has another. */
  readonly bridgeIndexes: Map<string, number>
}

function attachEndpoints(host: Host, sandbox: Sandbox, endpoints: readonly EndpointRecord[]): void {
  if (endpoints.length > MAX_ENDPOINTS) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot attach container: ${endpoints.length} endpoints are more than ${MAX_ENDPOINTS}`,
    )
  }
  createPairs(host, sandbox, endpoints)
  const inside = borrowConnection(sandbox.netlinkFd)
  const links = endpoints.length === 0 ? [] : query(inside, LIST_LINKS).map(decodeLink)
  const placed = endpoints.map((endpoint) => {
    const index = links.find((link) => link.name === endpoint.interfaceName)?.index
    if (index !== undefined) return { endpoint, index }
    throw new TsstackError(
      'INTERNAL',
      `Cannot attach container: interface "${endpoint.interfaceName}" did not arrive`,
    )
  })
  transact(inside, [bringUp(LOOPBACK_INDEX), ...placed.flatMap(configureInside)])
  settle(host.connection, inside, endpoints)
}

/**
 * A port that came up carries nothing until the kernel's link watch has run, some milliseconds later: the first ARP
 * request would be lost, and the container's first connection take a second. Asking for an interface makes the kernel
 * run it now (rtnl_getlink, Linux 6.9; before that the question is harmless). First the
 * container's end (IPv6 waits for it too), then the ports, then the bridges, whose own carrier follows from theirs.
 */
function settle(
  outside: NetlinkConnection,
  inside: NetlinkConnection,
  endpoints: readonly EndpointRecord[],
): void {
  for (const { interfaceName } of endpoints) findLink(inside, interfaceName)
  const bridged = endpoints.filter(({ macvlan }) => macvlan === undefined)
  const ports = bridged.map(({ hostInterface }) => hostInterface)
  const bridges = new Set(bridged.map(({ bridge }) => bridge))
  for (const name of [...ports, ...bridges]) findLink(outside, name)
}

interface PlacedEndpoint {
  readonly endpoint: EndpointRecord
  /** Interface index inside. */
  readonly index: number
}

function createPairs(host: Host, sandbox: Sandbox, endpoints: readonly EndpointRecord[]): void {
  const requests = (): NetlinkRequest[] =>
    endpoints.flatMap((endpoint) =>
      endpoint.macvlan === undefined
        ? vethRequests(host, sandbox, endpoint)
        : macvlanRequests(host.connection, sandbox, { ...endpoint, macvlan: endpoint.macvlan }),
    )
  try {
    transact(host.connection, requests())
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error
    // What a crash left under these names, or bridges that were made anew: clear, and try once more.
    host.bridgeIndexes.clear()
    const deletions = endpoints.map(({ hostInterface }) => deleteLink(hostInterface))
    transact(
      host.connection,
      deletions.map((request) => ({ ...request, tolerate: ['ENODEV'] })),
    )
    transact(host.connection, requests())
  }
}

function vethRequests(host: Host, sandbox: Sandbox, endpoint: EndpointRecord): NetlinkRequest[] {
  return [
    createVeth({
      name: endpoint.hostInterface,
      bridgeIndex: bridgeIndex(host, endpoint.bridge),
      ...(endpoint.mtu === undefined ? {} : { mtu: endpoint.mtu }),
      peer: { name: endpoint.interfaceName, mac: endpoint.mac, netnsFd: sandbox.netnsFd },
    }),
    preparePort(endpoint.hostInterface, endpoint),
    bringUp(endpoint.hostInterface),
  ]
}

function macvlanRequests(
  connection: NetlinkConnection,
  { netnsFd }: Sandbox,
  endpoint: EndpointRecord & { readonly macvlan: NonNullable<EndpointRecord['macvlan']> },
): NetlinkRequest[] {
  const { interfaceName: name, mac, mtu, macvlan } = endpoint
  return [
    createMacvlan({
      name,
      mac,
      netnsFd,
      mode: macvlan.mode,
      parentIndex: parentIndex(connection, macvlan.parent),
      ...(mtu === undefined ? {} : { mtu }),
    }),
  ]
}

function parentIndex(connection: NetlinkConnection, name: string): number {
  const link = findLink(connection, name)
  if (link !== undefined) return link.index
  throw new TsstackError(
    'NOT_FOUND',
    `Cannot use interface "${name}": the host has none of that name`,
    { hint: 'Set "driver_opts: { parent: NAME }" to one that "ip link" shows' },
  )
}

function bridgeIndex(host: Host, bridge: string): number {
  const known = host.bridgeIndexes.get(bridge) ?? findLink(host.connection, bridge)?.index
  if (known === undefined)
    throw new TsstackError(
      'NOT_FOUND',
      `Cannot attach container to bridge "${bridge}": there is none`,
    )
  host.bridgeIndexes.set(bridge, known)
  return known
}

function configureInside({ endpoint, index }: PlacedEndpoint): NetlinkRequest[] {
  const addresses = endpoint.addresses.map((text) => {
    return { address: requireAddress(text.split('/')[0] ?? ''), prefix: requireSubnet(text).prefix }
  })
  return [
    prepareInterface(index),
    ...withLinkLocal(addresses, endpoint.mac).map((address) => addAddress(index, address)),
    bringUp(index),
    ...endpoint.gateways.map((gateway) => addDefaultRoute(index, requireAddress(gateway))),
  ]
}
