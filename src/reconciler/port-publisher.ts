/**
 * Published ports: which port of the host leads where. Each is reserved on the host first, so that a conflict is an error
 * with a name and not a silence; then all of them go to the firewall in one transaction. Replicas of a service that publish
 * the same port share it: each new connection goes to one of those that are healthy.
 */
import type { PublishedPort } from '../api/types.ts'
import type { PortMapping } from '../engine/container-config.ts'
import type { Protocol, PublishedAddress } from '../network/firewall/elements.ts'
import { openFirewall, type Firewall } from '../network/firewall/firewall.ts'
import { enableForwarding, restoreForwarding, type SettingChange } from '../network/forwarding.ts'
import type { PortReservation } from '../network/port-reservation.ts'
import type { Collection, StateStore } from '../state/state-store.ts'
import { log } from '../log.ts'
import type { EventLog } from './event-log.ts'
import type { NetworkView } from './network-view.ts'
import { PortHolders } from './port-holders.ts'
import { PortProxies, type ProxiedPort } from './port-proxies.ts'
import type { ContainerRecord, NetworkDocument } from './records.ts'

export interface PortPublisher {
  /**
   * Publishes the ports of a container in place of those that it has; what stays the same is not touched.
   * @throws {ALREADY_EXISTS} naming the port and who has it; then nothing has changed
   */
  publish(record: ContainerRecord): readonly PublishedPort[]
  unpublish(containerId: string): void
  /** Whether others have a port together with it. */
  sharesPorts(containerId: string): boolean
  /** New connections come to those of a shared port that are ready now, if there are such. Never fails. */
  readinessChanged(containerId: string): void
  /**
   * Publishes the ports of a container in place of those of another, in one transaction: a new connection comes to the one
   * or the other, never to nobody; those that are open stay where they are.
   * @throws {ALREADY_EXISTS} as `publish`; then nothing has changed
   */
  handOver(from: string, to: ContainerRecord): readonly PublishedPort[]
  /** The set of networks has changed. */
  syncNetworks(): void
  /** Until `resume` the kernel's rules stay as they are: a new daemon first learns of all that is published. */
  pause(): void
  resume(): void
  /** Writes all rules anew, whatever somebody else made of them. */
  rewrite(): void
  /** See Firewall. */
  readonly firewallPort: number
  close(): void
}

const ANY_IPV4 = '0.0.0.0'
const ANY_IPV6 = '::'
/** Keys of the settings, by what needed them. */
const FORWARDING = 'forwarding'
const FORWARDING_IPV6 = 'forwarding IPv6'

interface HeldPort {
  readonly port: PublishedPort
  readonly reservation: PortReservation
}

/** Where a container is reached. A published port leads in over a network that lets anybody in. */
interface Way {
  readonly ipv4: string | undefined
  readonly ipv6: string | undefined
}

interface PublisherOptions {
  readonly state: StateStore
  readonly events: Pick<EventLog, 'subscribe'>
}

export function openPortPublisher(view: NetworkView, options: PublisherOptions): PortPublisher {
  return new Publisher(view, options)
}

class Publisher implements PortPublisher {
  readonly #view: NetworkView
  readonly #firewall: Firewall = openFirewall()
  /** Settings of the host that we changed, to be put back with the last network. */
  readonly #settings: Collection<readonly SettingChange[]>
  readonly #holders = new PortHolders()
  readonly #proxies = new PortProxies()
  /** What leads to each container, by its id. */
  readonly #holdings = new Map<string, readonly HeldPort[]>()
  readonly #unsubscribe: () => void
  #paused = false
  #guarded = false

  constructor(view: NetworkView, { state, events }: PublisherOptions) {
    this.#view = view
    this.#settings = state.collection('setting', { ofFacts: true })
    this.#unsubscribe = events.subscribe(({ action, id }) => {
      if (action.startsWith('health_status')) this.readinessChanged(id)
    })
  }

  publish(record: ContainerRecord): readonly PublishedPort[] {
    const before = this.#holdings.get(record.id)
    if (record.config.ports.length === 0 && before === undefined) return []
    const ports = this.#reserve(record, before ?? [])
    releaseBut(before, ports)
    if (ports.length === 0) this.#holdings.delete(record.id)
    else this.#holdings.set(record.id, ports)
    this.#sync()
    return ports.flatMap(({ port }) =>
      port.hostIp === ANY_IPV4 ? [port, { ...port, hostIp: ANY_IPV6 }] : [port],
    )
  }

  unpublish(containerId: string): void {
    const holding = this.#holdings.get(containerId)
    if (holding === undefined) return
    this.#holdings.delete(containerId)
    releaseBut(holding, [])
    this.#sync()
  }

  sharesPorts(containerId: string): boolean {
    const own = new Set(this.#holdings.get(containerId)?.map(({ port }) => hostEndOf(port)))
    return [...this.#holdings].some(
      ([id, held]) => id !== containerId && held.some(({ port }) => own.has(hostEndOf(port))),
    )
  }

  readinessChanged(containerId: string): void {
    if (!this.sharesPorts(containerId)) return
    try {
      this.#sync()
    } catch (error) {
      // Somebody else changed the rules at the same moment; the loop sees that, and writes them anew.
      log.warn('a shared port could not be led to those who are ready', { error })
    }
  }

  handOver(from: string, to: ContainerRecord): readonly PublishedPort[] {
    this.#move(from, to.id)
    try {
      return this.publish(to)
    } catch (error) {
      this.#move(to.id, from)
      throw error
    }
  }

  #move(from: string, to: string): void {
    const holding = this.#holdings.get(from)
    if (holding === undefined) return
    this.#holdings.delete(from)
    this.#holdings.set(to, holding)
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.syncNetworks()
  }

  rewrite(): void {
    this.#firewall.distrust()
    this.syncNetworks()
  }

  get firewallPort(): number {
    return this.#firewall.port
  }

  syncNetworks(): void {
    if (this.#paused) return
    const networks = this.#bridges()
    if (networks.length === 0) {
      this.#firewall.remove()
      for (const key of [FORWARDING_IPV6, FORWARDING]) {
        restoreForwarding(this.#settings.get(key) ?? [])
        this.#settings.delete(key)
      }
      return
    }
    const ipv6 = networks.some(({ subnets }) => subnets.some(({ subnet }) => subnet.includes(':')))
    this.#enable(FORWARDING, { ipv6: false })
    if (ipv6) this.#enable(FORWARDING_IPV6, { ipv6 })
    this.#sync()
  }

  #enable(key: string, families: { readonly ipv6: boolean }): void {
    if (this.#settings.get(key) === undefined) this.#settings.put(key, enableForwarding(families))
  }

  close(): void {
    this.#unsubscribe()
    for (const holding of this.#holdings.values()) releaseBut(holding, [])
    this.#proxies.sync([])
    this.#firewall.close()
  }

  /**
   * Keeps what the container has, gives back what it does not want any more (the same port may be wanted on another
   * address), takes what is new. On failure all is as before.
   */
  #reserve(record: ContainerRecord, held: readonly HeldPort[]): HeldPort[] {
    const available = [...held]
    const mappings = this.#mappingsOf(record)
    const kept = mappings.map((mapping) => {
      const index = available.findIndex(({ port }) => fits(port, mapping))
      return index < 0 ? undefined : available.splice(index, 1)[0]
    })
    for (const { reservation } of available) reservation.release()
    const taken: HeldPort[] = []
    try {
      return mappings.map((mapping, index) => {
        const same = kept[index]
        if (same !== undefined) return same
        const own = [...taken, ...kept].flatMap((held) => held?.port ?? [])
        const isTwice = own.some((port) => fits(port, { ...mapping, target: port.target }))
        const owner = isTwice ? undefined : ownerOf(record)
        const made = this.#take(owner, mapping, preferred(record, mapping))
        taken.push(made)
        return made
      })
    } catch (error) {
      for (const { reservation } of taken) reservation.release()
      this.#takeBack(record, available)
      throw error
    }
  }

  #takeBack(record: ContainerRecord, released: readonly HeldPort[]): void {
    const holding = this.#holdings.get(record.id)
    if (holding === undefined || released.length === 0) return
    const ports = holding.map((held) => {
      const { hostIp, published: from, target, protocol } = held.port
      return released.includes(held)
        ? this.#take(ownerOf(record), { hostIp, target, protocol }, { from, to: from })
        : held
    })
    this.#holdings.set(record.id, ports)
  }

  #take(
    owner: string | undefined,
    mapping: PortMapping,
    published: PortMapping['published'],
  ): HeldPort {
    const hostIp = mapping.hostIp ?? ANY_IPV4
    const reservation = this.#holders.take(owner, {
      hostIp,
      protocol: mapping.protocol as Protocol,
      ...(published === undefined ? {} : { published }),
    })
    const { target, protocol } = mapping
    return { reservation, port: { hostIp, published: reservation.port, target, protocol } }
  }

  /** With the address that a network has for ports which name none. */
  #mappingsOf({ config }: ContainerRecord): readonly PortMapping[] {
    const names = new Set(config.endpoints.map(({ network }) => network))
    const binding = this.#view
      .documents()
      .find(({ name, hostBinding }) => hostBinding !== undefined && names.has(name))?.hostBinding
    if (binding === undefined) return config.ports
    return config.ports.map((mapping) => ({ hostIp: binding, ...mapping }))
  }

  /** What is on an interface of the host (macvlan) does not pass through the host's rules. */
  #bridges(): NetworkDocument[] {
    return this.#view.documents().filter(({ macvlan }) => macvlan === undefined)
  }

  #wayTo(containerId: string, open: ReadonlySet<string>): Way {
    const leases = this.#view.leasesOf(containerId).filter(({ network }) => open.has(network))
    return {
      ipv4: leases.find((lease) => lease.ipv4 !== undefined)?.ipv4,
      ipv6: leases.find((lease) => lease.ipv6 !== undefined)?.ipv6,
    }
  }

  /**
   * Of the containers that have a port together those that are ready lead it; while none is, all of them: a check may be
   * wrong, and to serve no one is worse.
   */
  #serving(): { readonly id: string; readonly ports: readonly PublishedPort[] }[] {
    const holders = [...this.#holdings].map(([id, held]) => ({
      id,
      ports: held.map(({ port }) => port),
      isReady: this.#view.isReady(id),
    }))
    const led = new Set(
      holders.flatMap(({ ports, isReady }) => (isReady ? ports.map(hostEndOf) : [])),
    )
    return holders.map(({ id, ports, isReady }) => ({
      id,
      ports: isReady ? ports : ports.filter((port) => !led.has(hostEndOf(port))),
    }))
  }

  #sync(): void {
    if (this.#paused) return
    const networks = this.#bridges()
    const open = new Set(networks.filter(({ internal }) => !internal).map(({ name }) => name))
    const reached = this.#serving().map(({ id, ports }) => ({ ports, way: this.#wayTo(id, open) }))
    const published = reached.flatMap(({ ports, way }) => elements(ports, way))
    const changed = this.#settings.get(FORWARDING) ?? []
    const guardForwarding = changed.some(({ path }) => path.endsWith('/ip_forward'))
    const { blockedBy, guarded } = this.#firewall.sync({
      networks,
      published,
      guardForwarding,
    })
    if (guarded && !this.#guarded)
      log.warn('ufw decides what reaches published ports from outside: see "ufw route allow"')
    this.#guarded = guarded
    if (blockedBy.length > 0)
      log.warn('forwarded packets are dropped by chains of others', { chains: blockedBy })
    this.#proxies.sync(reached.flatMap(({ ports, way }) => proxied(ports, way)))
  }
}

function hostEndOf({ hostIp, protocol, published }: PublishedPort): string {
  return `${hostIp} ${protocol} ${String(published)}`
}

function elements(ports: readonly PublishedPort[], { ipv4, ipv6 }: Way): PublishedAddress[] {
  return ports.flatMap((port): PublishedAddress[] => {
    const base = {
      protocol: port.protocol as Protocol,
      hostPort: port.published,
      containerPort: port.target,
    }
    const isIpv6 = port.hostIp.includes(':')
    const toIpv4 =
      ipv4 === undefined || isIpv6 ? [] : [{ ...base, hostIp: port.hostIp, containerIp: ipv4 }]
    const hostIpv6 = isIpv6 ? port.hostIp : port.hostIp === ANY_IPV4 ? ANY_IPV6 : undefined
    const toIpv6 =
      ipv6 === undefined || hostIpv6 === undefined
        ? []
        : [{ ...base, hostIp: hostIpv6, containerIp: ipv6 }]
    return [...toIpv4, ...toIpv6]
  })
}

/**
 * `localhost` may mean ::1, whose packets can't be translated: what is published everywhere is carried over from there,
 * and from any IPv6 where the container has IPv4 only.
 */
function proxied(ports: readonly PublishedPort[], { ipv4, ipv6 }: Way): ProxiedPort[] {
  const address = ipv4 ?? ipv6
  if (address === undefined) return []
  return ports
    .filter(({ protocol, hostIp }) => protocol === 'tcp' && hostIp === ANY_IPV4)
    .map(({ published, target }) => ({ published, target: { address, port: target } }))
}

function releaseBut(holding: readonly HeldPort[] | undefined, kept: readonly HeldPort[]): void {
  for (const held of holding ?? []) if (!kept.includes(held)) held.reservation.release()
}

/** Replicas share a port; what is run once beside them does not take part of their traffic. */
function ownerOf({ config }: ContainerRecord): string | undefined {
  return config.oneoff ? undefined : `${config.stack} ${config.service}`
}

/** A port that the kernel chose stays the same over a restart of the daemon. */
function preferred(record: ContainerRecord, mapping: PortMapping): PortMapping['published'] {
  const known = record.publishedPorts.find((port) => fits(port, mapping))
  return known === undefined ? mapping.published : { from: known.published, to: known.published }
}

function fits(port: PublishedPort, mapping: PortMapping): boolean {
  const { published } = mapping
  return (
    port.hostIp === (mapping.hostIp ?? ANY_IPV4) &&
    port.target === mapping.target &&
    port.protocol === mapping.protocol &&
    (published === undefined ||
      (port.published >= published.from && port.published <= published.to))
  )
}
