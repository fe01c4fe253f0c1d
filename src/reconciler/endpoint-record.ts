/** What the network room is told of a container's place on a network: its interface, its addresses, its ways out. Pure. */
import type { Endpoint } from '../engine/container-config.ts'
import { vethName } from '../network/interface-names.ts'
import type { EndpointRecord } from '../network/network-driver.ts'
import { subnetOf } from './network-leases.ts'
import type { ContainerRecord, Lease, NetworkDocument } from './records.ts'

/** The network of a name. @throws {NOT_FOUND} */
type FindNetwork = (name: string) => NetworkDocument

interface Place {
  readonly endpoint: Endpoint
  /** Among the container's. */
  readonly index: number
  readonly lease: Lease | undefined
}

/** @throws {NOT_FOUND} when one of the container's networks does not exist */
export function endpointRecord(
  record: ContainerRecord,
  { endpoint, index, lease }: Place,
  find: FindNetwork,
): EndpointRecord {
  const document = find(endpoint.network)
  const addresses = [lease?.ipv4, lease?.ipv6].flatMap((address) => {
    const subnet = address === undefined ? undefined : subnetOf(document.subnets, address)
    return address === undefined || subnet === undefined ? [] : [{ address, subnet }]
  })
  return {
    bridge: document.bridge,
    ...(document.macvlan === undefined ? {} : { macvlan: document.macvlan }),
    hostInterface: vethName(record.id, document.name),
    interfaceName: endpoint.interfaceName ?? `eth${index}`,
    mac: lease?.mac ?? '',
    addresses: [
      ...addresses.map(({ address, subnet }) => `${address}/${subnet.subnet.split('/')[1] ?? ''}`),
      ...(endpoint.linkLocal ?? []).map(withLinkPrefix),
    ],
    gateways: addresses
      .map(({ subnet }) => subnet.gateway)
      .filter((gateway) => wayOut(record.config.endpoints, gateway, find) === endpoint),
    ...(document.mtu === undefined ? {} : { mtu: document.mtu }),
    ...(document.isolated === undefined ? {} : { isolated: document.isolated }),
  }
}

/**
 * The endpoint with the default route of a gateway's family: of those that lead out by it, the first with the highest
 * priority. One network may lead out by IPv4, another by IPv6.
 */
function wayOut(
  endpoints: readonly Endpoint[],
  like: string,
  find: FindNetwork,
): Endpoint | undefined {
  return endpoints
    .filter(({ network }) => {
      const { internal, subnets } = find(network)
      return !internal && subnets.some(({ gateway }) => isIpv6(gateway) === isIpv6(like))
    })
    .toSorted((a, b) => b.gatewayPriority - a.gatewayPriority)[0]
}

/** An address without a prefix of its own, as `link_local_ips` has them: its usual subnet. */
function withLinkPrefix(address: string): string {
  return address.includes(':') ? `${address}/64` : `${address}/16`
}

function isIpv6(address: string): boolean {
  return address.includes(':')
}
