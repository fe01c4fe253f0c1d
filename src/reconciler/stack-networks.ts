/**
 * The networks of all stacks: which exist and who has which address on them, kept in the state so that all of it can be
 * made again. How each is made in the kernel the network room knows; names and ports have files of their own.
 */
import type { PublishedPort } from '../api/types.ts'
import { vethName } from '../network/interface-names.ts'
import {
  openNetworkDriver,
  type HostInterfaces,
  type NetworkDriver,
  type Sandbox,
} from '../network/network-driver.ts'
import type { NetworkDefinition } from '../spec/stack.ts'
import type { Collection, StateStore } from '../state/state-store.ts'
import { TsstackError } from '../errors.ts'
import { log } from '../log.ts'
import type { ResolvedStack } from './resolved-stack.ts'
import { endpointRecord } from './endpoint-record.ts'
import type { EventLog } from './event-log.ts'
import type { KeptDescriptors, RecoveredDescriptors } from './kept-descriptors.ts'
import { openNameService, type NameService } from './name-service.ts'
import { planNetwork, type NetworkOrigin } from './network-document.ts'
import { LeavingPairs } from './leaving-pairs.ts'
import { NetworkLeases } from './network-leases.ts'
import type { NetworkView } from './network-view.ts'
import { openPortPublisher, type PortPublisher } from './port-publisher.ts'
import { hasProcess, type ContainerRecord, type Lease, type NetworkDocument } from './records.ts'

export interface StackNetworks {
  /** Idempotent. */
  create(resolved: ResolvedStack, name: string): Promise<void>
  /** Makes one that belongs to no stack. @throws {ALREADY_EXISTS} */
  createAlone(definition: NetworkDefinition): Promise<void>
  /** Idempotent; the caller has ended the containers on it. */
  remove(name: string): void
  documents(): NetworkDocument[]
  documentsOf(stack: string): NetworkDocument[]
  /** Chooses the container's addresses, which its files tell it, before it is connected. */
  reserve(record: ContainerRecord): void
  /** Connects a sandbox to the container's networks; addresses are kept over restarts. */
  attach(sandbox: Sandbox, record: ContainerRecord): void
  /** Connects it to one of its networks again, whose pair of interfaces is gone or damaged. */
  reattach(sandbox: Sandbox, record: ContainerRecord, network: string): void
  /** Makes a network's bridge what its document says. */
  ensure(name: string): Promise<void>
  /** Writes all rules of the firewall anew. */
  rewriteFirewall(): void
  /** What the host has of interfaces, one look. */
  inspect(): HostInterfaces
  /** Marks notifications of the kernel about our own changes of the firewall. */
  readonly firewallPort: number
  /** The container has ended: its ports lead elsewhere, its interfaces go. It keeps its addresses. */
  left(containerId: string): void
  /** Gives the container's addresses back. */
  release(containerId: string): void
  leasesOf(containerId: string): Lease[]
  /** Where the daemon reaches the container; IPv4 before IPv6. */
  addressOf(containerId: string): string | undefined
  /** The gateway of the container's first network: its way to the host and its name server. */
  gatewayOf(record: ContainerRecord): string | undefined
  /** Publishes the container's ports, in place of those that it has. @throws {ALREADY_EXISTS} for a port in use */
  publish(record: ContainerRecord): readonly PublishedPort[]
  /** Whether others have a published port together with it. */
  sharesPorts(containerId: string): boolean
  /** It begins or ceases to be given work: new connections, by ports and by names, come to replicas that are, if there are such. */
  readinessChanged(containerId: string): void
  /** Publishes the container's ports in the place of another's, which leads to nothing then. @throws {ALREADY_EXISTS} */
  handOver(from: string, to: ContainerRecord): readonly PublishedPort[]
  /** After a restart of the daemon: makes the kernel what the documents say. */
  restore(recovered: RecoveredDescriptors): Promise<void>
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
  readonly kept: KeptDescriptors
  readonly isReady: NetworkView['isReady']
}

export function openStackNetworks(options: StackNetworksOptions): StackNetworks {
  return new Networks(options)
}

class Networks implements StackNetworks {
  readonly #options: StackNetworksOptions
  readonly #documents: Collection<NetworkDocument>
  readonly #leases: NetworkLeases
  readonly #driver: NetworkDriver = openNetworkDriver()
  readonly #names: NameService
  readonly #ports: PortPublisher
  readonly #leaving = new LeavingPairs((name) => {
    this.#driver.detachEndpoint(name)
  })
  /** What is on a network and has no record: steps of builds. */
  readonly #guests = new Map<string, ContainerRecord>()

  constructor(options: StackNetworksOptions) {
    this.#options = options
    this.#documents = options.state.collection('network')
    this.#leases = new NetworkLeases(options.state.collection('lease'))
    const view = {
      containers: {
        get: (id: string) => options.containers.get(id) ?? this.#guests.get(id),
        values: () => options.containers.values(),
      },
      documents: () => this.#documents.values(),
      leases: () => this.#leases.all(),
      leasesOf: (id: string) => this.leasesOf(id),
      isReady: options.isReady,
    }
    this.#names = openNameService(view, options)
    this.#ports = openPortPublisher(view, options)
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
    if (known !== undefined && known.stack !== stack.name) throw taken(known)
    await this.#make(known, {
      definition,
      owner: { stack: stack.name, key },
      expectedEndpoints: Object.keys(stack.services).length * 4,
    })
  }

  async createAlone(definition: NetworkDefinition): Promise<void> {
    const known = this.#documents.get(definition.name)
    if (known !== undefined) throw taken(known)
    await this.#make(undefined, { definition })
  }

  async #make(known: NetworkDocument | undefined, origin: NetworkOrigin): Promise<void> {
    const documents = this.#documents.values()
    const document =
      known ??
      planNetwork(origin, {
        documents,
        host: this.#driver.listHostSubnets(documents.map(({ bridge }) => bridge)),
      })
    this.#documents.put(document.name, document) // before it is made: a crash then finds it and makes it
    try {
      await this.#ensure(document)
    } catch (error) {
      if (known === undefined) this.remove(document.name) // it can't be: nobody shall wait for it
      throw error
    }
    if (known === undefined) this.#emit(document, 'create', { bridge: document.bridge })
  }

  async #ensure(document: NetworkDocument, recovered?: RecoveredDescriptors): Promise<void> {
    if (document.macvlan !== undefined) {
      this.#driver.requireInterface(document.macvlan.parent)
      return
    }
    this.#driver.ensureNetwork({ ...document, id: document.name })
    await this.#names.listen(document, recovered)
    this.#ports.syncNetworks()
  }

  remove(name: string): void {
    const document = this.#documents.get(name)
    if (document === undefined) return
    if (document.macvlan === undefined) {
      this.#names.unlisten(document)
      this.#driver.removeNetwork(document.bridge)
    }
    this.#leases.releaseNetwork(name)
    this.#documents.delete(name)
    this.#ports.syncNetworks()
    this.#emit(document, 'destroy')
  }

  #emit(
    { name, stack }: NetworkDocument,
    action: string,
    attributes: Readonly<Record<string, string>> = {},
  ): void {
    this.#options.events.emit({ type: 'network', action, stack: stack ?? '', id: name, attributes })
  }

  documents(): NetworkDocument[] {
    return this.#documents.values()
  }

  documentsOf(stack: string): NetworkDocument[] {
    return this.#documents.values().filter((document) => document.stack === stack)
  }

  reserve(record: ContainerRecord): void {
    if (this.#options.containers.get(record.id) === undefined) this.#guests.set(record.id, record)
    for (const endpoint of record.config.endpoints)
      this.#leases.take(this.#require(endpoint.network), record, endpoint)
  }

  attach(sandbox: Sandbox, record: ContainerRecord): void {
    const { endpoints } = record.config
    this.#leaving.keep(interfacesOf(record))
    const leases = endpoints.map((endpoint) =>
      this.#leases.take(this.#require(endpoint.network), record, endpoint),
    )
    this.#driver.attachEndpoints(
      sandbox,
      endpoints.map((endpoint, index) =>
        endpointRecord(record, { endpoint, index, lease: leases[index] }, this.#find),
      ),
    )
  }

  reattach(sandbox: Sandbox, record: ContainerRecord, network: string): void {
    const index = record.config.endpoints.findIndex((endpoint) => endpoint.network === network)
    const endpoint = record.config.endpoints[index]
    if (endpoint === undefined) return
    const lease = this.#leases.take(this.#require(network), record, endpoint)
    this.#driver.detachEndpoint(vethName(record.id, network))
    const attached = endpointRecord(record, { endpoint, index, lease }, this.#find)
    this.#driver.attachEndpoints(sandbox, [attached])
  }

  async ensure(name: string): Promise<void> {
    await this.#ensure(this.#require(name))
  }

  rewriteFirewall(): void {
    this.#ports.rewrite()
  }

  inspect(): HostInterfaces {
    return this.#driver.inspect()
  }

  get firewallPort(): number {
    return this.#ports.firewallPort
  }

  readonly #find = (name: string): NetworkDocument => this.#require(name)

  #require(name: string): NetworkDocument {
    const document = this.#documents.get(name)
    if (document !== undefined) return document
    throw new TsstackError('NOT_FOUND', `Cannot attach to network "${name}": it does not exist`, {
      hint: 'An external network must be made by the stack that owns it first',
    })
  }

  release(containerId: string): void {
    this.#guests.delete(containerId)
    this.left(containerId)
    this.#leases.release(containerId)
  }

  left(containerId: string): void {
    this.#ports.unpublish(containerId)
    const leases = this.leasesOf(containerId)
    this.#leaving.add(leases.map(({ network }) => vethName(containerId, network)))
  }

  leasesOf(containerId: string): Lease[] {
    return this.#leases.of(containerId)
  }

  addressOf(containerId: string): string | undefined {
    const leases = this.leasesOf(containerId)
    return leases.find(({ ipv4 }) => ipv4 !== undefined)?.ipv4 ?? leases[0]?.ipv6
  }

  gatewayOf(record: ContainerRecord): string | undefined {
    const documents = record.config.endpoints.flatMap(
      ({ network }) => this.#documents.get(network) ?? [],
    )
    return documents.find(({ macvlan }) => macvlan === undefined)?.subnets[0]?.gateway
  }

  publish(record: ContainerRecord): readonly PublishedPort[] {
    return this.#ports.publish(record)
  }

  sharesPorts(containerId: string): boolean {
    return this.#ports.sharesPorts(containerId)
  }

  readinessChanged(containerId: string): void {
    this.#ports.readinessChanged(containerId)
    this.#names.changed()
  }

  handOver(from: string, to: ContainerRecord): readonly PublishedPort[] {
    return this.#ports.handOver(from, to)
  }

  async restore(recovered: RecoveredDescriptors): Promise<void> {
    this.#ports.pause()
    const running = this.#options.containers.values().filter(hasProcess)
    const expected = new Set(running.flatMap(interfacesOf))
    this.#leaving.add(this.#driver.listPairs().filter((name) => !expected.has(name)))
    // One that can't be made again must not keep the others, and the daemon, from coming up.
    const failed = (document: NetworkDocument, error: unknown): void => {
      log.error('network could not be restored', { network: document.name, error })
    }
    await Promise.all(
      this.#documents.values().map((document) =>
        this.#ensure(document, recovered).catch((error: unknown) => {
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
    this.#leases.sweep((id) => this.#options.containers.get(id) !== undefined)
    this.#ports.resume()
  }

  close(): void {
    this.#leaving.close()
    this.#names.close()
    this.#ports.close()
    this.#driver.close()
  }
}

/** The host's ends of its pairs. */
function interfacesOf({ id, config }: ContainerRecord): string[] {
  return config.endpoints.map(({ network }) => vethName(id, network))
}

function taken({ name, stack }: NetworkDocument): TsstackError {
  const owner = stack === undefined ? 'somebody' : `stack "${stack}"`
  return new TsstackError(
    'ALREADY_EXISTS',
    `Cannot create network "${name}": ${owner} has one of that name`,
    { hint: 'Mark it "external: true" to use that one, or choose another name' },
  )
}
