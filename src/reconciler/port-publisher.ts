/**
 * Published ports: which port of the host leads where. Each is reserved on the host first, so that a conflict is an error
 * with a name and not a silence; then all of them go to the firewall in one transaction.
 */
import type { PublishedPort } from '../api/types.ts'
import type { PortMapping } from '../engine/container-config.ts'
import type { Protocol, PublishedAddress } from '../network/firewall/elements.ts'
import { openFirewall, type Firewall } from '../network/firewall/firewall.ts'
import { enableForwarding, restoreForwarding, type SettingChange } from '../network/forwarding.ts'
import { reservePort, type PortReservation } from '../network/port-reservation.ts'
import { openTcpProxy, type ProxyTarget, type TcpProxy } from '../network/tcp-proxy.ts'
import type { Collection, StateStore } from '../state/state-store.ts'
import { log } from '../log.ts'
import type { NetworkView } from './network-view.ts'
import type { ContainerRecord, NetworkDocument } from './records.ts'

export interface PortPublisher {
  /**
   * Publishes the ports of a container in place of those that it has; what stays the same is not touched.
   * @throws {ALREADY_EXISTS} naming the port and who has it; then nothing has changed
   */
  publish(record: ContainerRecord): readonly PublishedPort[]
  unpublish(containerId: string): void
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

/** What leads to one container. */
interface Holding {
  readonly ports: readonly HeldPort[]
  /** By published port. */
  readonly proxies: ReadonlyMap<number, Promise<TcpProxy | undefined>>
}

export function openPortPublisher(view: NetworkView, state: StateStore): PortPublisher {
  return new Publisher(view, state)
}

class Publisher implements PortPublisher {
  readonly #view: NetworkView
  readonly #firewall: Firewall = openFirewall()
  /** Settings of the host that we changed, to be put back with the last network. */
  readonly #settings: Collection<readonly SettingChange[]>
  readonly #holdings = new Map<string, Holding>()
  #paused = false
  #guarded = false

  constructor(view: NetworkView, state: StateStore) {
    this.#view = view
    this.#settings = state.collection('setting')
  }

  publish(record: ContainerRecord): readonly PublishedPort[] {
    const before = this.#holdings.get(record.id)
    if (record.config.ports.length === 0 && before === undefined) return []
    const ports = this.#reserve(record, before?.ports ?? [])
    this.#releaseBut(before, ports)
    const proxies = this.#openProxies(record, ports, before)
    if (ports.length === 0) this.#holdings.delete(record.id)
    else this.#holdings.set(record.id, { ports, proxies })
    this.#sync()
    return ports.flatMap(({ port }) =>
      port.hostIp === ANY_IPV4 ? [port, { ...port, hostIp: ANY_IPV6 }] : [port],
    )
  }

  unpublish(containerId: string): void {
    const holding = this.#holdings.get(containerId)
    if (holding === undefined) return
    this.#holdings.delete(containerId)
    this.#releaseBut(holding, [])
    closeProxies(holding)
    this.#sync()
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
    for (const holding of this.#holdings.values()) {
      this.#releaseBut(holding, [])
      closeProxies(holding)
    }
    this.#firewall.close()
  }

  /**
   * Keeps what the container has, gives back what it does not want any more (the same port may be wanted on another
   * address), takes what is new. On failure all is as before.
   */
  #reserve(record: ContainerRecord, held: readonly HeldPort[]): HeldPort[] {
    const available = [...held]
    const kept = record.config.ports.map((mapping) => {
      const index = available.findIndex(({ port }) => fits(port, mapping))
      return index < 0 ? undefined : available.splice(index, 1)[0]
    })
    for (const { reservation } of available) reservation.release()
    const taken: HeldPort[] = []
    try {
      return record.config.ports.map((mapping, index) => {
        const same = kept[index]
        if (same !== undefined) return same
        const made = reserve(mapping, preferred(record, mapping))
        taken.push(made)
        return made
      })
    } catch (error) {
      for (const { reservation } of taken) reservation.release()
      this.#takeBack(record.id, available)
      throw error
    }
  }

  #takeBack(containerId: string, released: readonly HeldPort[]): void {
    const holding = this.#holdings.get(containerId)
    if (holding === undefined || released.length === 0) return
    const ports = holding.ports.map((held) => {
      const { hostIp, published: from, target, protocol } = held.port
      return released.includes(held)
        ? reserve({ hostIp, target, protocol }, { from, to: from })
        : held
    })
    this.#holdings.set(containerId, { ...holding, ports })
  }

  #releaseBut(holding: Holding | undefined, kept: readonly HeldPort[]): void {
    for (const held of holding?.ports ?? []) {
      if (!kept.includes(held)) held.reservation.release()
    }
  }

  /**
   * `localhost` may mean ::1, whose packets can't be translated: what is published everywhere is carried over from there,
   * and from any IPv6 where the container has IPv4 only.
   */
  #openProxies(
    record: ContainerRecord,
    ports: readonly HeldPort[],
    before: Holding | undefined,
  ): Holding['proxies'] {
    const { ipv4, ipv6 } = this.#addresses(record.id)
    const wanted = ports.filter(({ port }) => port.protocol === 'tcp' && port.hostIp === ANY_IPV4)
    const proxies = new Map<number, Promise<TcpProxy | undefined>>()
    const address = ipv4 ?? ipv6
    for (const { port } of address === undefined ? [] : wanted) {
      const target = { address: address ?? '', port: port.target }
      const known = before?.proxies.get(port.published)
      void known?.then((open) => open?.retarget(target))
      proxies.set(port.published, known ?? openProxy(port, target))
    }
    for (const [port, proxy] of before?.proxies ?? []) if (!proxies.has(port)) closeProxy(proxy)
    return proxies
  }

  /** What is on an interface of the host (macvlan) does not pass through the host's rules. */
  #bridges(): NetworkDocument[] {
    return this.#view.documents().filter(({ macvlan }) => macvlan === undefined)
  }

  #addresses(containerId: string): { ipv4: string | undefined; ipv6: string | undefined } {
    const documents = new Map(this.#bridges().map((document) => [document.name, document]))
    // A published port leads in over a network that lets anybody in.
    const leases = this.#view
      .leasesOf(containerId)
      .filter((lease) => documents.get(lease.network)?.internal === false)
    return {
      ipv4: leases.find((lease) => lease.ipv4 !== undefined)?.ipv4,
      ipv6: leases.find((lease) => lease.ipv6 !== undefined)?.ipv6,
    }
  }

  #sync(): void {
    if (this.#paused) return
    const published = [...this.#holdings].flatMap(([id, { ports }]) => this.#elements(id, ports))
    const changed = this.#settings.get(FORWARDING) ?? []
    const guardForwarding = changed.some(({ path }) => path.endsWith('/ip_forward'))
    const { blockedBy, guarded } = this.#firewall.sync({
      networks: this.#bridges(),
      published,
      guardForwarding,
    })
    if (guarded && !this.#guarded)
      log.warn('ufw decides what reaches published ports from outside: see "ufw route allow"')
    this.#guarded = guarded
    if (blockedBy.length > 0)
      log.warn('forwarded packets are dropped by chains of others', { chains: blockedBy })
  }

  #elements(containerId: string, ports: readonly HeldPort[]): PublishedAddress[] {
    const { ipv4, ipv6 } = this.#addresses(containerId)
    return ports.flatMap(({ port }): PublishedAddress[] => {
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
}

function closeProxies({ proxies }: Holding): void {
  for (const proxy of proxies.values()) closeProxy(proxy)
}

function closeProxy(proxy: Promise<TcpProxy | undefined>): void {
  void proxy.then((open) => open?.close())
}

function openProxy(port: PublishedPort, target: ProxyTarget): Promise<TcpProxy | undefined> {
  return openTcpProxy({ address: ANY_IPV6, port: port.published }, target).catch(
    (error: unknown) => {
      log.warn('port is not reachable over IPv6', { port: port.published, error })
      return undefined
    },
  )
}

function reserve(mapping: PortMapping, published: PortMapping['published']): HeldPort {
  const hostIp = mapping.hostIp ?? ANY_IPV4
  const protocol = mapping.protocol as Protocol
  const reservation = reservePort({
    hostIp,
    protocol,
    ...(published === undefined ? {} : { published }),
  })
  return {
    reservation,
    port: {
      hostIp,
      published: reservation.port,
      target: mapping.target,
      protocol: mapping.protocol,
    },
  }
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
