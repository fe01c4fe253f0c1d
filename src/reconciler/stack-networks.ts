/**
 * The networks of all stacks: which exist and who has which address on them, kept in the state so that all of it can be
 * made again. How each is made in the kernel the network room knows; names and ports have files of their own.
 */
import type { PublishedPort } from '../api/types.ts'
import type { Endpoint } from '../engine/container-config.ts'
import { bridgeName, macOf, vethName } from '../network/interface-names.ts'
import { parseSubnet, requireAddress } from '../network/ip-address.ts'
import { allocateAddress, planSubnets, type SubnetRecord } from '../network/ipam.ts'
import {
  openNetworkDriver,
  type EndpointRecord,
  type NetworkDriver,
  type Sandbox,
} from '../network/network-driver.ts'
import { networkConfigHash } from '../planner/config-hash.ts'
import type { NetworkDefinition } from '../spec/stack.ts'
import type { Collection, StateStore } from '../state/state-store.ts'
import { TsstackError } from '../errors.ts'
import { log } from '../log.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import type { EventLog } from './event-log.ts'
import { openNameService, type NameService } from './name-service.ts'
import { openPortPublisher, type PortPublisher } from './port-publisher.ts'
import type { ContainerRecord, Lease, NetworkDocument } from './records.ts'

export interface StackNetworks {
  /** Idempotent. */
  create(resolved: ResolvedStack, name: string): Promise<void>
  /** Idempotent; the caller has removed the containers on it. */
  remove(name: string): void
  documents(): NetworkDocument[]
  documentsOf(stack: string): NetworkDocument[]
  /** Connects a sandbox to the container's networks; addresses are kept over restarts. */
  attach(sandbox: Sandbox, record: ContainerRecord): void
  /** Gives the container's addresses back. */
  release(containerId: string): void
  leasesOf(containerId: string): Lease[]
  /** Where the daemon reaches the container; IPv4 before IPv6. */
  addressOf(containerId: string): string | undefined
  /** The gateway of the container's first network: its way to the host and its name server. */
  gatewayOf(record: ContainerRecord): string | undefined
  /** Publishes the container's ports, in place of those that it has. @throws {ALREADY_EXISTS} for a port in use */
  publish(record: ContainerRecord): readonly PublishedPort[]
  unpublish(containerId: string): void
  /** After a restart of the daemon: makes the kernel what the documents say. */
  restore(): Promise<void>
  /** After a restart of the daemon: a container that goes on. */
  adopt(record: ContainerRecord): void
  /** Ends the restoration: removes bridges that no document explains, and makes the rules what they should be. */
  sweep(): void
  close(): void
}

export interface StackNetworksOptions {
  readonly state: StateStore
  readonly containers: Collection<ContainerRecord>
  readonly events: EventLog
}

const MAX_RECENT = 64
/** By then the kernel has removed most pairs with their namespaces, at no cost to us; each by name takes it 20 ms. */
const PAIR_GRACE_MS = 1000

export function openStackNetworks(options: StackNetworksOptions): StackNetworks {
  return new Networks(options)
}

class Networks implements StackNetworks {
  readonly #options: StackNetworksOptions
  readonly #documents: Collection<NetworkDocument>
  readonly #leases: Collection<Lease>
  readonly #driver: NetworkDriver = openNetworkDriver()
  readonly #names: NameService
  readonly #ports: PortPublisher
  /** Addresses released a moment ago: connections to their former owner may still be alive. */
  readonly #recent: string[] = []
  readonly #detachTimers = new Set<NodeJS.Timeout>()

  constructor(options: StackNetworksOptions) {
    this.#options = options
    this.#documents = options.state.collection('network')
    this.#leases = options.state.collection('lease')
    const view = {
      containers: options.containers,
      documents: () => this.#documents.values(),
      leases: () => this.#leases.values(),
      leasesOf: (id: string) => this.leasesOf(id),
    }
    this.#names = openNameService(view, options.events)
    this.#ports = openPortPublisher(view, options.state)
  }

  async create(resolved: ResolvedStack, name: string): Promise<void> {
    const { stack } = resolved.desired
    const [key, definition] =
      Object.entries(stack.networks).find(([, network]) => network.name === name) ?? []
    if (key === undefined || definition === undefined)
      throw new TsstackError(
        'NOT_FOUND',
        `Cannot create network "${name}": the stack has none of that name`,
      )
    const known = this.#documents.get(name)
    if (known !== undefined && known.stack !== stack.name) {
      throw new TsstackError(
        'ALREADY_EXISTS',
        `Cannot create network "${name}": stack "${known.stack}" has one of that name`,
      )
    }
    const document =
      known ??
      this.#plan({
        name,
        key,
        stack: stack.name,
        definition,
        endpoints: Object.keys(stack.services).length * 4,
      })
    this.#documents.put(name, document) // before it is made: a crash then finds it and makes it
    await this.#ensure(document)
    if (known === undefined) {
      this.#options.events.emit({
        type: 'network',
        action: 'create',
        stack: stack.name,
        id: name,
        attributes: { bridge: document.bridge },
      })
    }
  }

  #plan(wanted: {
    name: string
    key: string
    stack: string
    definition: NetworkDefinition
    endpoints: number
  }): NetworkDocument {
    const { name, definition } = wanted
    if (definition.driver !== undefined && definition.driver !== 'bridge') {
      throw new TsstackError(
        'UNIMPLEMENTED',
        `Cannot create network "${name}": there is no driver "${definition.driver}"`,
        { hint: 'Use "bridge"' },
      )
    }
    const config = (definition.ipam?.config ?? []).map(
      ({ subnet, ip_range, gateway, aux_addresses }) => ({
        ...(subnet === undefined ? {} : { subnet }),
        ...(ip_range === undefined ? {} : { ipRange: ip_range }),
        ...(gateway === undefined ? {} : { gateway }),
        auxiliary: Object.values(aux_addresses ?? {}),
      }),
    )
    const documents = this.#documents.values()
    const request = {
      network: name,
      config,
      ipv4: definition.enable_ipv4 ?? true,
      ipv6: definition.enable_ipv6 ?? false,
      expectedEndpoints: Math.max(wanted.endpoints, 250),
    }
    const subnets = planSubnets(request, {
      networks: documents.flatMap((document) =>
        document.subnets.flatMap(({ subnet }) => parseSubnet(subnet) ?? []),
      ),
      host: this.#driver.listHostSubnets(documents.map(({ bridge }) => bridge)),
    })
    const mtu = definition.driver_opts?.['com.docker.network.driver.mtu']
    return {
      name,
      key: wanted.key,
      stack: wanted.stack,
      configHash: networkConfigHash(definition),
      bridge: bridgeName(name),
      subnets,
      internal: definition.internal ?? false,
      ...(mtu === undefined ? {} : { mtu: Number(mtu) }),
      labels: {
        ...definition.labels,
        'com.docker.compose.project': wanted.stack,
        'com.docker.compose.network': wanted.key,
      },
    }
  }

  async #ensure(document: NetworkDocument): Promise<void> {
    this.#driver.ensureNetwork({ ...document, id: document.name })
    await this.#names.listen(document)
    this.#ports.syncNetworks()
  }

  remove(name: string): void {
    const document = this.#documents.get(name)
    if (document === undefined) return
    this.#names.unlisten(document)
    this.#driver.removeNetwork(document.bridge)
    this.#documents.delete(name)
    this.#ports.syncNetworks()
    this.#options.events.emit({
      type: 'network',
      action: 'destroy',
      stack: document.stack,
      id: name,
      attributes: {},
    })
  }

  documents(): NetworkDocument[] {
    return this.#documents.values()
  }

  documentsOf(stack: string): NetworkDocument[] {
    return this.#documents.values().filter((document) => document.stack === stack)
  }

  attach(sandbox: Sandbox, record: ContainerRecord): void {
    const { endpoints } = record.config
    const leases = endpoints.map((endpoint) => ({ endpoint, lease: this.#lease(record, endpoint) }))
    const best = endpoints.reduce<Endpoint | undefined>(
      (a, b) => (a !== undefined && a.gatewayPriority >= b.gatewayPriority ? a : b),
      undefined,
    )
    const placed = leases.map(({ endpoint, lease }, index): EndpointRecord => {
      const document = this.#require(endpoint.network)
      const pairs = [lease.ipv4, lease.ipv6].flatMap((address) => {
        const subnet = address === undefined ? undefined : subnetOf(document, address)
        return address === undefined || subnet === undefined ? [] : [{ address, subnet }]
      })
      const hasRoute = endpoint === best && !document.internal
      return {
        bridge: document.bridge,
        hostInterface: vethName(record.id, document.name),
        interfaceName: endpoint.interfaceName ?? `eth${index}`,
        mac: lease.mac,
        addresses: pairs.map(
          ({ address, subnet }) => `${address}/${subnet.subnet.split('/')[1] ?? ''}`,
        ),
        gateways: hasRoute ? pairs.map(({ subnet }) => subnet.gateway) : [],
        ...(document.mtu === undefined ? {} : { mtu: document.mtu }),
      }
    })
    this.#driver.attachEndpoints(sandbox, placed)
  }

  #lease(record: ContainerRecord, endpoint: Endpoint): Lease {
    const document = this.#require(endpoint.network)
    const key = `${document.name}/${record.id}`
    const known = this.#leases.get(key)
    if (known !== undefined) return known
    const used = this.#leases
      .values()
      .filter((lease) => lease.network === document.name)
      .flatMap((lease) => [lease.ipv4 ?? [], lease.ipv6 ?? []].flat())
    const recent = new Set(this.#recent)
    const allocate = (family: 4 | 6, requested: string | undefined): string | undefined => {
      const subnet = document.subnets.find(
        (candidate) => candidate.subnet.includes(':') === (family === 6),
      )
      return subnet === undefined
        ? undefined
        : allocateAddress(subnet, used, {
            network: document.name,
            recent,
            ...(requested === undefined ? {} : { requested }),
          })
    }
    const ipv4 = allocate(4, endpoint.ipv4)
    const ipv6 = allocate(6, endpoint.ipv6)
    const lease: Lease = {
      network: document.name,
      container: record.id,
      ...(ipv4 === undefined ? {} : { ipv4 }),
      ...(ipv6 === undefined ? {} : { ipv6 }),
      mac: endpoint.mac ?? macOf(requireAddress(ipv4 ?? ipv6 ?? '')),
    }
    this.#leases.put(key, lease)
    return lease
  }

  #require(name: string): NetworkDocument {
    const document = this.#documents.get(name)
    if (document !== undefined) return document
    throw new TsstackError('NOT_FOUND', `Cannot attach to network "${name}": it does not exist`, {
      hint: 'An external network must be made by the stack that owns it first',
    })
  }

  release(containerId: string): void {
    this.unpublish(containerId)
    const leases = this.leasesOf(containerId)
    this.#detachLater(leases.map(({ network }) => vethName(containerId, network)))
    for (const lease of leases) {
      this.#leases.delete(`${lease.network}/${containerId}`)
      if (lease.ipv4 !== undefined) this.#recent.push(lease.ipv4)
    }
    this.#recent.splice(0, this.#recent.length - MAX_RECENT)
  }

  /**
   * A connection whose last bytes nobody acknowledges, because its peer went first, keeps the namespace of a container
   * that is gone, and the pair with it, for minutes (tcp(7): tcp_orphan_retries).
   */
  #detachLater(hostInterfaces: readonly string[]): void {
    if (hostInterfaces.length === 0) return
    const timer = setTimeout(() => {
      this.#detachTimers.delete(timer)
      try {
        for (const name of hostInterfaces) this.#driver.detachEndpoint(name)
      } catch (error) {
        log.warn('interface could not be removed', { error })
      }
    }, PAIR_GRACE_MS)
    timer.unref()
    this.#detachTimers.add(timer)
  }

  leasesOf(containerId: string): Lease[] {
    return this.#leases.values().filter((lease) => lease.container === containerId)
  }

  addressOf(containerId: string): string | undefined {
    const leases = this.leasesOf(containerId)
    return leases.find(({ ipv4 }) => ipv4 !== undefined)?.ipv4 ?? leases[0]?.ipv6
  }

  gatewayOf(record: ContainerRecord): string | undefined {
    const first = record.config.endpoints[0]
    return first === undefined ? undefined : this.#documents.get(first.network)?.subnets[0]?.gateway
  }

  publish(record: ContainerRecord): readonly PublishedPort[] {
    return this.#ports.publish(record)
  }

  unpublish(containerId: string): void {
    this.#ports.unpublish(containerId)
  }

  async restore(): Promise<void> {
    this.#ports.pause()
    // One that can't be made again must not keep the others, and the daemon, from coming up.
    const failed = (document: NetworkDocument, error: unknown): void => {
      log.error('network could not be restored', { network: document.name, error })
    }
    await Promise.all(
      this.#documents.values().map((document) =>
        this.#ensure(document).catch((error: unknown) => {
          failed(document, error)
        }),
      ),
    )
  }

  adopt(record: ContainerRecord): void {
    this.#ports.publish(record)
  }

  sweep(): void {
    const known = new Set(this.#documents.values().map(({ bridge }) => bridge))
    for (const { bridge, network } of this.#driver.listBridges()) {
      if (known.has(bridge)) continue
      this.#driver.removeNetwork(bridge)
      log.info('bridge swept', { bridge, network })
    }
    for (const [key, lease] of this.#leases.entries()) {
      if (this.#options.containers.get(lease.container) === undefined) this.#leases.delete(key)
    }
    this.#ports.resume()
  }

  close(): void {
    for (const timer of this.#detachTimers) clearTimeout(timer)
    this.#names.close()
    this.#ports.close()
    this.#driver.close()
  }
}

function subnetOf(document: NetworkDocument, address: string): SubnetRecord | undefined {
  return document.subnets.find(({ subnet }) => subnet.includes(':') === address.includes(':'))
}
