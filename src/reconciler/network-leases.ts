/** Which container has which addresses on which network, remembered over restarts of the container and of the daemon. */
import type { Endpoint } from '../engine/container-config.ts'
import { macOf } from '../network/interface-names.ts'
import { contains, parseAddress, requireAddress, requireSubnet } from '../network/ip-address.ts'
import { allocateAddress, type SubnetRecord } from '../network/ipam.ts'
import type { Collection } from '../state/state-store.ts'
import { TsstackError } from '../errors.ts'
import type { ContainerRecord, Lease, NetworkDocument } from './records.ts'

const MAX_RECENT = 64
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i

export class NetworkLeases {
  readonly #leases: Collection<Lease>
  /** Addresses released a moment ago: connections to their former owner may still be alive. */
  readonly #recent: string[] = []

  constructor(leases: Collection<Lease>) {
    this.#leases = leases
  }

  all(): Lease[] {
    return this.#leases.values()
  }

  of(containerId: string): Lease[] {
    return this.#leases.values().filter((lease) => lease.container === containerId)
  }

  /**
   * The container's addresses on a network: those that it has, or new ones.
   * @throws {INVALID_ARGUMENT} for an address that is not the network's, {ALREADY_EXISTS} for one that is taken
   */
  take(document: NetworkDocument, record: ContainerRecord, endpoint: Endpoint): Lease {
    const key = `${document.name}/${record.id}`
    const known = this.#leases.get(key)
    if (known !== undefined) return known
    const used = this.#leases
      .values()
      .filter((lease) => lease.network === document.name)
      .flatMap((lease) => [lease.ipv4 ?? [], lease.ipv6 ?? []].flat())
    const ipv4 = this.#allocate(document, used, { family: 4, requested: endpoint.ipv4 })
    const ipv6 = this.#allocate(document, used, { family: 6, requested: endpoint.ipv6 })
    const lease: Lease = {
      network: document.name,
      container: record.id,
      ...(ipv4 === undefined ? {} : { ipv4 }),
      ...(ipv6 === undefined ? {} : { ipv6 }),
      mac: macFor(document, endpoint.mac) ?? macOf(requireAddress(ipv4 ?? ipv6 ?? '')),
    }
    this.#leases.put(key, lease)
    return lease
  }

  /** Gives a container's addresses back. */
  release(containerId: string): void {
    for (const lease of this.of(containerId)) {
      this.#leases.delete(`${lease.network}/${containerId}`)
      this.#recent.push(...[lease.ipv4 ?? [], lease.ipv6 ?? []].flat())
    }
    this.#recent.splice(0, this.#recent.length - MAX_RECENT)
  }

  /** Gives all addresses of a network back. */
  releaseNetwork(network: string): void {
    for (const [key, lease] of this.#leases.entries())
      if (lease.network === network) this.#leases.delete(key)
  }

  /** Forgets leases of containers that are gone. */
  sweep(exists: (containerId: string) => boolean): void {
    for (const [key, lease] of this.#leases.entries())
      if (!exists(lease.container)) this.#leases.delete(key)
  }

  #allocate(
    document: NetworkDocument,
    used: readonly string[],
    { family, requested }: { readonly family: 4 | 6; readonly requested: string | undefined },
  ): string | undefined {
    const subnet = subnetFor(document, family, requested)
    if (subnet === undefined && requested === undefined) return undefined
    if (subnet === undefined)
      throw new TsstackError(
        'INVALID_ARGUMENT',
        `Cannot use address "${requested ?? ''}": network "${document.name}" has no IPv${family}`,
        { hint: family === 6 ? 'Set "enable_ipv6: true" on the network' : 'Remove the address' },
      )
    return allocateAddress(subnet, used, {
      network: document.name,
      recent: new Set(this.#recent),
      ...(requested === undefined ? {} : { requested }),
    })
  }
}

/** A network may have several subnets of a family: the one that an address is in, or the first. */
function subnetFor(
  document: NetworkDocument,
  family: 4 | 6,
  requested: string | undefined,
): SubnetRecord | undefined {
  const ofFamily = document.subnets.filter(({ subnet }) => subnet.includes(':') === (family === 6))
  return (requested === undefined ? undefined : subnetOf(ofFamily, requested)) ?? ofFamily[0]
}

/** The subnet that an address is in. */
export function subnetOf(subnets: readonly SubnetRecord[], text: string): SubnetRecord | undefined {
  const address = parseAddress(text)
  return address === undefined
    ? undefined
    : subnets.find(({ subnet }) => contains(requireSubnet(subnet), address))
}

function macFor(document: NetworkDocument, mac: string | undefined): string | undefined {
  if (mac === undefined || mac === '') return undefined
  const text = mac.replaceAll('-', ':').toLowerCase()
  // The lowest bit of the first byte marks a group, which no interface is.
  if (MAC.test(text) && (Number.parseInt(text, 16) & 1) === 0) return text
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot use link-layer address "${mac}" on network "${document.name}": it is not one of an interface`,
    { hint: 'Write it as "02:42:ac:11:00:02"' },
  )
}
