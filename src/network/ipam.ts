/** Address management: which subnets a network gets, and which address an endpoint. Pure: what is taken comes in. */
import { TsstackError } from '../errors.ts'
import {
  addressBits,
  contains,
  formatAddress,
  formatSubnet,
  lastAddress,
  overlaps,
  parseAddress,
  requireAddress,
  requireSubnet,
  subnetSize,
  type Family,
  type IpAddress,
  type Subnet,
} from './ip-address.ts'

const DEFAULT_PREFIX = { 4: 24, 6: 64 } as const
/** The largest subnet that is chosen without being asked for: 65,533 endpoints. */
const LARGEST_PREFIX = 16
/** Network address, broadcast address and gateway. */
const RESERVED_ADDRESSES = 3
const MAX_SUBNETS = 16
const MAX_CANDIDATES = 65_536

/**
 * Where subnets come from by default: private ranges (RFC 1918, RFC 4193) away from those of home routers, clouds,
 * Docker, Podman, libvirt and Kubernetes. The later ones serve where a company's network has taken the first.
 */
export const DEFAULT_POOLS: readonly string[] = [
  '10.201.0.0/16',
  '10.233.128.0/17',
  '172.30.0.0/16',
  '192.168.192.0/18',
  'fd74:7373:7461::/48',
]

/** One entry of Compose's `ipam.config`. */
export interface SubnetRequest {
  readonly subnet?: string
  /** Addresses are taken from this part of the subnet unless they are asked for by name. */
  readonly ipRange?: string
  readonly gateway?: string
  /** Addresses in use by something else. */
  readonly auxiliary?: readonly string[]
}

export interface SubnetsRequest {
  /** Of the network, for messages. */
  readonly network: string
  readonly config: readonly SubnetRequest[]
  /** Default: true. */
  readonly ipv4?: boolean
  /** Default: false; a subnet of this family in `config` turns it on. */
  readonly ipv6?: boolean
  /** How many containers will be in it at most. Default: 250. */
  readonly expectedEndpoints?: number
  /** The subnets that are asked for are the host's own (macvlan). Default: false. */
  readonly sharesHostSubnet?: boolean
}

export interface TakenSubnets {
  /** Of networks that exist: nothing may overlap them. */
  readonly networks: readonly Subnet[]
  /** Routes and addresses of the host: avoided; a subnet that is asked for may only be a part of one. */
  readonly host: readonly Subnet[]
}

/** A subnet of a network. Plain JSON. */
export interface SubnetRecord {
  readonly subnet: string
  readonly gateway: string
  readonly ipRange?: string
  readonly auxiliary?: readonly string[]
}

/**
 * Chooses the subnets of a new network.
 * @param pools where from, in order of preference; see DEFAULT_POOLS
 * @throws {INVALID_ARGUMENT} for a subnet, range, gateway or address that can't be so
 * @throws {FAILED_PRECONDITION} when a subnet that was asked for belongs to another network or to the host
 * @throws {UNAVAILABLE} when no pool has a free subnet
 */
export function planSubnets(
  request: SubnetsRequest,
  taken: TakenSubnets,
  pools: readonly string[] = DEFAULT_POOLS,
): SubnetRecord[] {
  if (request.config.length > MAX_SUBNETS) {
    throw invalid(request.network, `${request.config.length} subnets are more than ${MAX_SUBNETS}`)
  }
  const given = request.config.filter((entry) => entry.subnet !== undefined)
  const planned = given.map((entry) => checkSubnet(request.network, entry))
  const subnets = planned.map((record) => requireSubnet(record.subnet))
  subnets.forEach((subnet, index) => {
    refuseOverlap(request.network, subnet, [...taken.networks, ...subnets.slice(0, index)])
    if (request.sharesHostSubnet !== true) refuseHostRoute(request.network, subnet, taken.host)
  })
  const has = (family: Family): boolean => subnets.some((subnet) => subnet.family === family)
  const families: Family[] = []
  if (request.ipv4 !== false && !has(4)) families.push(4)
  if (request.ipv6 === true && !has(6)) families.push(6)
  // Without its subnet an entry would be about one that is chosen: it would not fit.
  const loose = request.config.find((entry) => entry.subnet === undefined && isSpecific(entry))
  if (loose !== undefined)
    throw invalid(request.network, 'a gateway, range or auxiliary address needs its subnet')
  const all = [...taken.networks, ...taken.host, ...subnets]
  const chosen = families.map((family) => {
    const subnet = chooseSubnet({ ...request, family }, all, pools)
    return { subnet: formatSubnet(subnet), gateway: firstHost(subnet) }
  })
  const records = [...chosen, ...planned]
  if (records.length === 0) throw invalid(request.network, 'it has neither IPv4 nor IPv6')
  return records
}

function isSpecific(entry: SubnetRequest): boolean {
  const { gateway, ipRange, auxiliary = [] } = entry
  return gateway !== undefined || ipRange !== undefined || auxiliary.length > 0
}

function invalid(network: string, state: string): TsstackError {
  return new TsstackError('INVALID_ARGUMENT', `Cannot create network "${network}": ${state}`)
}

function checkSubnet(network: string, entry: SubnetRequest): SubnetRecord {
  const subnet = requireSubnet(entry.subnet ?? '')
  if (subnetSize(subnet) < 2n || subnet.prefix < 8) {
    throw invalid(
      network,
      `subnet "${formatSubnet(subnet)}" must have a prefix of 8 bits or more and room for two`,
    )
  }
  const within = (text: string, word: string): string => {
    const address = parseAddress(text)
    if (address !== undefined && contains(subnet, address)) return formatAddress(address)
    throw invalid(network, `${word} "${text}" is not in subnet "${formatSubnet(subnet)}"`)
  }
  const range = entry.ipRange === undefined ? undefined : requireSubnet(entry.ipRange)
  if (range !== undefined && (!overlaps(subnet, range) || range.prefix < subnet.prefix)) {
    throw invalid(
      network,
      `range "${formatSubnet(range)}" is not in subnet "${formatSubnet(subnet)}"`,
    )
  }
  const auxiliary = entry.auxiliary?.map((text) => within(text, 'auxiliary address'))
  return {
    subnet: formatSubnet(subnet),
    gateway: entry.gateway === undefined ? firstHost(subnet) : within(entry.gateway, 'gateway'),
    ...(range === undefined ? {} : { ipRange: formatSubnet(range) }),
    ...(auxiliary === undefined ? {} : { auxiliary }),
  }
}

function refuseOverlap(network: string, subnet: Subnet, others: readonly Subnet[]): void {
  const other = others.find((candidate) => overlaps(candidate, subnet))
  if (other === undefined) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot create network "${network}": subnet "${formatSubnet(subnet)}" overlaps "${formatSubnet(other)}" of another network`,
    { hint: 'Choose another subnet, or leave it out to have a free one chosen.' },
  )
}

/**
 * Containers would take traffic away from what the host reaches by a route that is as long or longer. Within a shorter
 * one (a VPN's 10.0.0.0/8) the user may know better than we do.
 */
function refuseHostRoute(network: string, subnet: Subnet, host: readonly Subnet[]): void {
  const other = host.find(
    (candidate) => overlaps(candidate, subnet) && candidate.prefix >= subnet.prefix,
  )
  if (other === undefined) return
  throw new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot create network "${network}": the host itself has "${formatSubnet(other)}" in subnet "${formatSubnet(subnet)}"`,
    { hint: 'Choose another subnet, or leave it out to have a free one chosen.' },
  )
}

function firstHost(subnet: Subnet): string {
  // A point-to-point subnet (RFC 3021, RFC 6164) has no network address.
  const offset = subnetSize(subnet) === 2n ? 0n : 1n
  return formatAddress({ family: subnet.family, value: subnet.base + offset })
}

function prefixFor(family: Family, endpoints: number): number {
  if (family === 6) return DEFAULT_PREFIX[6]
  const needed = Math.ceil(Math.log2(endpoints + RESERVED_ADDRESSES))
  return Math.max(LARGEST_PREFIX, Math.min(DEFAULT_PREFIX[4], 32 - needed))
}

interface Choice {
  readonly network: string
  readonly family: Family
  readonly expectedEndpoints?: number
}

function chooseSubnet(choice: Choice, taken: readonly Subnet[], pools: readonly string[]): Subnet {
  const { family } = choice
  const prefix = prefixFor(family, choice.expectedEndpoints ?? 0)
  const inTheWay = taken.filter((subnet) => subnet.family === family)
  for (const pool of pools.map(requireSubnet)) {
    if (pool.family !== family || pool.prefix > prefix) continue
    const found = firstFree(pool, prefix, inTheWay)
    if (found !== undefined) return found
  }
  throw new TsstackError(
    'UNAVAILABLE',
    `Cannot create network "${choice.network}": no free IPv${family} subnet is left in ${pools.join(', ')}`,
    { hint: 'Remove unused networks, or give the network a subnet of its own under "ipam".' },
  )
}

function firstFree(pool: Subnet, prefix: number, taken: readonly Subnet[]): Subnet | undefined {
  const last = lastAddress(pool)
  let candidate: Subnet = { family: pool.family, base: pool.base, prefix }
  for (let tries = 0; tries < MAX_CANDIDATES && candidate.base <= last; tries++) {
    const blocker = taken.find((subnet) => overlaps(subnet, candidate))
    if (blocker === undefined) return candidate
    // Go on after whichever of the two reaches further.
    const size = subnetSize(candidate)
    const end =
      lastAddress(blocker) > lastAddress(candidate) ? lastAddress(blocker) : lastAddress(candidate)
    candidate = { ...candidate, base: ((end + size) / size) * size }
  }
  return undefined
}

export interface AddressRequest {
  /** Of the network, for messages. */
  readonly network: string
  /** An address that must be this one. */
  readonly requested?: string
  /** Released a moment ago: not given again while there are others (connections to the former owner may live). */
  readonly recent?: ReadonlySet<string>
}

/**
 * Chooses an address in a subnet: the one asked for, or the lowest that is free.
 * @param used addresses that endpoints of the network have
 * @throws {INVALID_ARGUMENT} when the address asked for is not one of the subnet's
 * @throws {ALREADY_EXISTS} when it is taken
 * @throws {UNAVAILABLE} when none is left
 */
export function allocateAddress(
  record: SubnetRecord,
  used: Iterable<string>,
  request: AddressRequest,
): string {
  const subnet = requireSubnet(record.subnet)
  const taken = new Set<bigint>()
  for (const text of [...used, record.gateway, ...(record.auxiliary ?? [])]) {
    const address = parseAddress(text)
    if (address?.family === subnet.family) taken.add(address.value)
  }
  if (request.requested !== undefined)
    return claim(subnet, taken, { ...request, requested: request.requested })
  const recent = new Set([...(request.recent ?? [])].map((text) => parseAddress(text)?.value))
  const range = record.ipRange === undefined ? subnet : requireSubnet(record.ipRange)
  const found = lowestFree(subnet, range, (value) => taken.has(value) || recent.has(value))
  const value = found ?? lowestFree(subnet, range, (candidate) => taken.has(candidate))
  if (value === undefined) {
    throw new TsstackError(
      'UNAVAILABLE',
      `Cannot attach to network "${request.network}": no address is left in "${formatSubnet(range)}"`,
    )
  }
  return formatAddress({ family: subnet.family, value })
}

function claim(
  subnet: Subnet,
  taken: ReadonlySet<bigint>,
  request: AddressRequest & { requested: string },
): string {
  const address = requireAddress(request.requested)
  const object = `address "${request.requested}" on network "${request.network}"`
  if (!contains(subnet, address) || isReserved(subnet, address)) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot use ${object}: it is not a host address of "${formatSubnet(subnet)}"`,
    )
  }
  if (taken.has(address.value))
    throw new TsstackError('ALREADY_EXISTS', `Cannot use ${object}: it is taken`)
  return formatAddress(address)
}

/** The network's own address and, for IPv4, the broadcast address. */
function isReserved(subnet: Subnet, address: IpAddress): boolean {
  if (addressBits(subnet.family) - subnet.prefix < 2) return false
  if (address.value === subnet.base) return true
  return subnet.family === 4 && address.value === lastAddress(subnet)
}

function lowestFree(
  subnet: Subnet,
  range: Subnet,
  isTaken: (value: bigint) => boolean,
): bigint | undefined {
  const end = lastAddress(range)
  for (let value = range.base; value <= end; value++) {
    if (!isTaken(value) && !isReserved(subnet, { family: subnet.family, value })) return value
  }
  return undefined
}
