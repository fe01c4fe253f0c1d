/** Bridges, addresses and pairs of interfaces that somebody removed or changed under a running stack. */
import { openNetworkSandbox } from '../../kernel/namespaces.ts'
import { vethName } from '../../network/interface-names.ts'
import type { HostInterfaces } from '../../network/network-driver.ts'
import type { Context } from '../context.ts'
import type { ContainerRecord, NetworkDocument } from '../records.ts'
import { hasEnded } from './cgroup-membership.ts'
import type { FoundDrift } from './drift.ts'

/** Networks before what is connected to them: that is also the order of the repairs. */
export function findNetworkDrift(
  context: Context,
  { stack, records }: { readonly stack: string; readonly records: readonly ContainerRecord[] },
  host: HostInterfaces,
): FoundDrift[] {
  const networks = context.networks.documentsOf(stack).flatMap((document) => {
    const difference = bridgeDifference(document, host)
    if (difference === undefined) return []
    const repair = (): Promise<void> => context.networks.ensure(document.name)
    return [{ kind: 'network' as const, subject: document.name, difference, repair }]
  })
  const documents = new Map(
    context.networks.documents().map((document) => [document.name, document]),
  )
  const endpoints = records
    .filter(({ id, config }) => context.live.has(id) && config.networkMode.kind === 'endpoints')
    .flatMap((record) => endpointDrift(context, record, { host, documents }))
  return [...networks, ...endpoints]
}

function bridgeDifference(
  { bridge, macvlan, subnets }: NetworkDocument,
  { links, addresses }: HostInterfaces,
): string | undefined {
  if (macvlan !== undefined) return undefined
  const link = links.get(bridge)
  if (link === undefined) return `bridge ${bridge} is gone`
  if (!link.up) return `bridge ${bridge} is down`
  const present = addresses.get(link.index)
  const missing = subnets
    .map(({ subnet, gateway }) => `${gateway}/${subnet.split('/')[1] ?? ''}`)
    .find((address) => present?.has(address) !== true)
  return missing === undefined ? undefined : `bridge ${bridge} has lost address ${missing}`
}

interface Surroundings {
  readonly host: HostInterfaces
  /** All networks by name. */
  readonly documents: ReadonlyMap<string, NetworkDocument>
}

function endpointDrift(
  context: Context,
  record: ContainerRecord,
  { host, documents }: Surroundings,
): FoundDrift[] {
  const live = context.live.get(record.id)
  return record.config.endpoints.flatMap(({ network }) => {
    const document = documents.get(network)
    if (document === undefined || document.macvlan !== undefined) return []
    const difference = pairDifference(record, document, host)
    // The kernel takes the pair of one that has ended, a moment before the daemon hears of it.
    if (difference === undefined || live === undefined || hasEnded(live)) return []
    return [
      {
        kind: 'endpoint',
        subject: record.config.name,
        service: record.config.service,
        difference,
        repair: () => reconnect(context, record, network),
      },
    ]
  })
}

function pairDifference(
  { id }: ContainerRecord,
  { name, bridge }: NetworkDocument,
  { links }: HostInterfaces,
): string | undefined {
  const interfaceName = vethName(id, name)
  const link = links.get(interfaceName)
  if (link === undefined) return `its interface ${interfaceName} on network ${name} is gone`
  if (!link.up) return `its interface ${interfaceName} on network ${name} is down`
  if (link.master !== links.get(bridge)?.index)
    return `its interface ${interfaceName} is not in the bridge of network ${name}`
  return undefined
}

/** A container that ends meanwhile needs no network. */
async function reconnect(
  context: Context,
  record: ContainerRecord,
  network: string,
): Promise<void> {
  await context.locks.run(record.id, async () => {
    const live = context.live.get(record.id)
    if (live === undefined || hasEnded(live)) return
    const sandbox = await openNetworkSandbox(live.process.pid)
    try {
      context.networks.reattach(sandbox, record, network)
    } finally {
      sandbox.close()
    }
  })
}
