/** Who is called what on a stack's networks, answered by the daemon's DNS on each bridge's gateway. */
import { readFileSync } from 'node:fs'
import { createDnsServer, type BoundSockets, type DnsServer } from '../network/dns/dns-server.ts'
import type { Upstream } from '../network/dns/upstream.ts'
import { parseResolvConf } from '../network/resolver-files.ts'
import type { EventLog } from './event-log.ts'
import type { KeptDescriptors, RecoveredDescriptors } from './kept-descriptors.ts'
import { nameSocketsKey, openNameSockets } from './name-sockets.ts'
import type { NetworkView } from './network-view.ts'
import type { ContainerRecord, NetworkDocument } from './records.ts'

export interface NameService {
  /**
   * @param recovered - after a restart: sockets that were kept, with the questions that came meanwhile
   * @throws {ALREADY_EXISTS} when another program answers DNS on the gateway
   */
  listen(document: NetworkDocument, recovered?: RecoveredDescriptors): Promise<void>
  unlisten(document: NetworkDocument): void
  /** Something is otherwise of which no event tells: a container is about to stop. */
  changed(): void
  close(): void
}

interface Addresses {
  readonly ipv4: readonly string[]
  readonly ipv6: readonly string[]
}

const SHORT_ID = 12
const DNS_PORT = 53
const RESOLVERS_MAX_AGE_MS = 5000

let resolvers: readonly string[] = []
let resolversReadAt = -Infinity

/** Names by network, made anew when a container starts, ends or changes. */
type Directory = ReadonlyMap<string, ReadonlyMap<string, Addresses>>

export function openNameService(
  view: NetworkView,
  { events, kept }: { readonly events: EventLog; readonly kept: KeptDescriptors },
): NameService {
  let directory: Directory | undefined
  const stop = events.subscribe((event) => {
    if (event.type === 'container') directory = undefined
  })
  const server: DnsServer = createDnsServer({
    resolve: (source, name) => {
      directory ??= makeDirectory(view)
      const asked = name.toLowerCase()
      const target = containerAt(view, source)?.config.links[asked] ?? asked
      const found = networksOf(view, source).flatMap(
        (network) => directory?.get(network)?.get(target) ?? [],
      )
      if (found.length === 0) return undefined
      return { ipv4: found.flatMap(({ ipv4 }) => ipv4), ipv6: found.flatMap(({ ipv6 }) => ipv6) }
    },
    reverse: (source, address) => {
      const networks = new Set(networksOf(view, source))
      const lease = view
        .leases()
        .find(
          (candidate) =>
            networks.has(candidate.network) &&
            (candidate.ipv4 === address || candidate.ipv6 === address),
        )
      const name =
        lease === undefined ? undefined : view.containers.get(lease.container)?.config.name
      return name === undefined ? undefined : `${name}.${lease?.network ?? ''}`
    },
    upstreams: (source) => upstreamsOf(view, source),
  })
  return {
    listen: (document, recovered) => listenFor(document, { server, kept, recovered }),
    unlisten: (document) => {
      for (const { gateway } of document.subnets) {
        server.unlisten(gateway)
        kept.release(nameSocketsKey(gateway))
      }
    },
    changed: () => {
      directory = undefined
    },
    close: () => {
      stop()
      server.close()
    },
  }
}

async function listenFor(
  { subnets }: NetworkDocument,
  of: {
    readonly server: DnsServer
    readonly kept: KeptDescriptors
    readonly recovered: RecoveredDescriptors | undefined
  },
): Promise<void> {
  const allowed = subnets.map(({ subnet }) => subnet)
  const openSockets = (gateway: string): BoundSockets => {
    const sockets = openNameSockets(gateway, of.recovered)
    of.kept.holdBeside(nameSocketsKey(gateway), { ...sockets })
    return sockets
  }
  await Promise.all(
    subnets.map(({ gateway }) =>
      of.server.listen({
        address: gateway,
        subnets: allowed,
        openSockets: () => openSockets(gateway),
      }),
    ),
  )
}

/** The networks that the asking container is on: it may ask for names on all of them, whichever gateway it asks. */
function networksOf(view: NetworkView, source: string): string[] {
  const leases = view.leases()
  const own = leases.find((lease) => lease.ipv4 === source || lease.ipv6 === source)
  return own === undefined
    ? []
    : leases.filter((lease) => lease.container === own.container).map((lease) => lease.network)
}

function containerAt(view: NetworkView, address: string): ContainerRecord | undefined {
  const own = view.leases().find((lease) => lease.ipv4 === address || lease.ipv6 === address)
  return own === undefined ? undefined : view.containers.get(own.container)
}

/** The container's own `dns`, or the host's resolvers; nobody for one that is on internal networks only. */
function upstreamsOf(view: NetworkView, source: string): readonly Upstream[] {
  const record = containerAt(view, source)
  if (record === undefined) return []
  const networks = new Set(record.config.endpoints.map((endpoint) => endpoint.network))
  const leadsOut = view
    .documents()
    .some((document) => networks.has(document.name) && !document.internal)
  if (!leadsOut) return []
  const servers = record.config.dns.length > 0 ? record.config.dns : hostResolvers()
  return servers.map((address) => ({ address, port: DNS_PORT }))
}

/** Read anew now and then: a laptop changes its networks. */
function hostResolvers(): readonly string[] {
  const now = Date.now()
  if (now - resolversReadAt > RESOLVERS_MAX_AGE_MS) {
    resolversReadAt = now
    resolvers = readResolvers()
  }
  return resolvers
}

function readResolvers(): readonly string[] {
  try {
    return parseResolvConf(readFileSync('/etc/resolv.conf', 'utf8')).nameServers
  } catch {
    return []
  }
}

function makeDirectory(view: NetworkView): Directory {
  const isReplaced = replacedReplicas(view)
  const networks = new Map<string, Map<string, { ipv4: string[]; ipv6: string[] }>>()
  for (const lease of view.leases()) {
    const record = view.containers.get(lease.container)
    if (record === undefined || (record.state !== 'running' && record.state !== 'paused')) continue
    if (record.part !== undefined || isReplaced(record)) continue
    const endpoint = record.config.endpoints.find(
      (candidate) => candidate.network === lease.network,
    )
    const names = new Set([
      ...(endpoint?.aliases ?? []),
      record.config.name,
      record.id.slice(0, SHORT_ID),
      record.config.hostname,
    ])
    const directory =
      networks.get(lease.network) ?? new Map<string, { ipv4: string[]; ipv6: string[] }>()
    networks.set(lease.network, directory)
    for (const name of names) {
      const addresses = directory.get(name.toLowerCase()) ?? { ipv4: [], ipv6: [] }
      directory.set(name.toLowerCase(), addresses)
      if (lease.ipv4 !== undefined) addresses.ipv4.push(lease.ipv4)
      if (lease.ipv6 !== undefined) addresses.ipv6.push(lease.ipv6)
    }
  }
  return networks
}

/** Tells of a container whether it is about to stop while another replica of its service goes on. */
function replacedReplicas({ containers }: NetworkView): (record: ContainerRecord) => boolean {
  const serviceOf = ({ config }: ContainerRecord): string => `${config.stack} ${config.service}`
  const going = containers.values().filter(({ state, wanted, part, config }) => {
    return state === 'running' && wanted === 'running' && part === undefined && !config.oneoff
  })
  const served = new Set(going.map(serviceOf))
  return (record) => record.wanted !== 'running' && served.has(serviceOf(record))
}
