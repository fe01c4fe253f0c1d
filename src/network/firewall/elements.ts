/** What a desired state puts into the sets of the table: elements with a text that tells them apart. Pure. */
import { TsstackError } from '../../errors.ts'
import {
  addressBytes,
  lastAddress,
  requireAddress,
  requireSubnet,
  type Subnet,
} from '../ip-address.ts'
import type { SetElement } from './nf-tables.ts'
import { SLOT_KEYS, type SetName } from './sets.ts'

const INTERFACE_BYTES = 16
/** Every part of a key fills whole registers of 4 bytes. */
const PROTOCOL_AND_PORT_BYTES = 8
const PROTOCOL = { tcp: 6, udp: 17, sctp: 132 } as const

export type Protocol = keyof typeof PROTOCOL

/** What the firewall needs of a network; a NetworkRecord fits. */
export interface FirewallNetwork {
  readonly bridge: string
  readonly subnets: readonly { readonly subnet: string; readonly gateway: string }[]
  readonly internal: boolean
  /** Nothing is forwarded between its containers. Default: false. */
  readonly isolated?: boolean
  /** Give outgoing traffic the host's address. Default: true. */
  readonly masquerade?: boolean
}

/** A port of the host that leads to a port of a container of the same address family. */
export interface PublishedAddress {
  /** `0.0.0.0` or `::`: any address of the host. */
  readonly hostIp: string
  readonly protocol: Protocol
  readonly hostPort: number
  readonly containerIp: string
  readonly containerPort: number
}

/** What the firewall should be like. */
export interface FirewallState {
  readonly networks: readonly FirewallNetwork[]
  readonly published: readonly PublishedAddress[]
  /** Drop what is forwarded and is not ours: where forwarding was off before we turned it on. Default: false. */
  readonly guardForwarding?: boolean
}

/** Elements by set and by a text that is equal for equal elements; the bytes are made only for those that change. */
export type Elements = ReadonlyMap<SetName, ReadonlyMap<string, () => SetElement>>

/**
 * All elements of a state.
 * @throws {INVALID_ARGUMENT} for an address or port that is none, or more than 256 containers that share a published port
 */
export function elementsOf(state: FirewallState): Elements {
  const sets = new Map<SetName, Map<string, () => SetElement>>()
  const put = (set: SetName, id: string, encode: () => SetElement): void => {
    const elements = sets.get(set) ?? new Map<string, () => SetElement>()
    sets.set(set, elements.set(id, encode))
  }
  for (const network of state.networks) putNetwork(put, network)
  for (const [source, destinations] of bySource(state.published)) {
    const [only] = destinations.values()
    if (destinations.size === 1 && only !== undefined) putPublished(put, only)
    else putShared(put, source, [...destinations.values()])
  }
  return sets
}

type Put = (set: SetName, id: string, encode: () => SetElement) => void

/** What leads from where to where, each once: by its source and family, then by its destination. */
function bySource(
  all: readonly PublishedAddress[],
): ReadonlyMap<string, ReadonlyMap<string, PublishedAddress>> {
  const sources = new Map<string, Map<string, PublishedAddress>>()
  for (const published of all) {
    const source = `${published.hostIp} ${published.protocol} ${published.hostPort}`
    const destinations = sources.get(source) ?? new Map<string, PublishedAddress>()
    destinations.set(`${published.containerIp} ${published.containerPort}`, published)
    sources.set(source, destinations)
  }
  return sources
}

function putPublished(put: Put, published: PublishedAddress): void {
  const { hostIp, protocol, hostPort, containerIp, containerPort } = published
  put(
    containerIp.includes(':') ? 'published6' : 'published4',
    `${hostIp} ${protocol} ${hostPort} ${containerIp} ${containerPort}`,
    () => publishedElement(published),
  )
}

/** Slots are dealt out in turn, so that shares differ by one slot at most. */
function putShared(put: Put, source: string, destinations: readonly PublishedAddress[]): void {
  if (destinations.length > SLOT_KEYS.length) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot publish "${source}" of ${destinations.length} containers: at most ${SLOT_KEYS.length} can share a port`,
    )
  }
  for (const [slot, slotKey] of SLOT_KEYS.entries()) {
    const published = destinations[slot % destinations.length]
    if (published === undefined) continue
    const { containerIp, containerPort } = published
    put(sharedSet(published), `${source} ${slot} ${containerIp} ${containerPort}`, () => {
      const { key, ...element } = publishedElement(published)
      const wanted = isAny(published) ? key.subarray(-PROTOCOL_AND_PORT_BYTES) : key
      return { ...element, key: Buffer.concat([slotKey, wanted]) }
    })
  }
}

function sharedSet(published: PublishedAddress): SetName {
  if (published.containerIp.includes(':')) return isAny(published) ? 'sharedAny6' : 'shared6'
  return isAny(published) ? 'sharedAny4' : 'shared4'
}

function isAny({ hostIp }: PublishedAddress): boolean {
  return hostIp === '0.0.0.0' || hostIp === '::'
}

function putNetwork(put: Put, network: FirewallNetwork): void {
  const { bridge } = network
  const key = interfaceBytes(bridge)
  put('bridges', bridge, () => ({ key }))
  if (network.isolated !== true) put('loops', bridge, () => ({ key: Buffer.concat([key, key]) }))
  if (network.internal) put('internal', bridge, () => ({ key }))
  else if (network.masquerade !== false) put('masqueraded', bridge, () => ({ key }))
  for (const { subnet, gateway } of network.subnets) {
    const is6 = gateway.includes(':')
    const bytes = (): Uint8Array => addressBytes(requireAddress(gateway))
    put(is6 ? 'gateways6' : 'gateways4', gateway, () => ({ key: bytes() }))
    put(is6 ? 'homes6' : 'homes4', `${bridge} ${subnet}`, () =>
      homeElement(key, requireSubnet(subnet)),
    )
    put(is6 ? 'own6' : 'own4', `${bridge} ${gateway}`, () => ({
      key: Buffer.concat([key, bytes()]),
    }))
  }
}

function homeElement(bridge: Uint8Array, subnet: Subnet): SetElement {
  const { family } = subnet
  return {
    key: Buffer.concat([bridge, addressBytes({ family, value: subnet.base })]),
    keyEnd: Buffer.concat([bridge, addressBytes({ family, value: lastAddress(subnet) })]),
  }
}

function interfaceBytes(name: string): Uint8Array {
  const bytes = Buffer.alloc(INTERFACE_BYTES)
  bytes.write(name)
  return bytes
}

function publishedElement(published: PublishedAddress): SetElement {
  const host = requireAddress(published.hostIp)
  const container = requireAddress(published.containerIp)
  if (host.family !== container.family) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot publish "${published.hostIp}" to "${published.containerIp}": one is IPv4, the other IPv6`,
    )
  }
  const address = addressBytes(host)
  const key = Buffer.alloc(address.length + PROTOCOL_AND_PORT_BYTES)
  key.set(address)
  key.writeUInt8(PROTOCOL[published.protocol], address.length)
  key.writeUInt16BE(portNumber(published.hostPort), address.length + 4)
  const data = Buffer.alloc(address.length + 4)
  data.set(addressBytes(container))
  data.writeUInt16BE(portNumber(published.containerPort), address.length)
  return { key, data }
}

function portNumber(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot publish port ${port}: it is not between 1 and 65535`,
  )
}

/** What to take out of each set and what to put in, to get from one state to another. */
export interface ElementsChange {
  readonly set: SetName
  readonly removed: readonly SetElement[]
  readonly added: readonly SetElement[]
}

/** The smallest change from `before` to `after`. */
export function compareElements(before: Elements, after: Elements): ElementsChange[] {
  const changes: ElementsChange[] = []
  for (const set of new Set([...before.keys(), ...after.keys()])) {
    const removed = missingFrom(after.get(set), before.get(set))
    const added = missingFrom(before.get(set), after.get(set))
    if (removed.length + added.length > 0) changes.push({ set, removed, added })
  }
  return changes
}

function missingFrom(
  elements: ReadonlyMap<string, () => SetElement> | undefined,
  wanted: ReadonlyMap<string, () => SetElement> | undefined,
): SetElement[] {
  const missing: SetElement[] = []
  for (const [id, encode] of wanted ?? []) if (elements?.has(id) !== true) missing.push(encode())
  return missing
}
