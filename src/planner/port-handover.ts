/** A published port can be taken only after it was given up: the order between containers that hand one over. */
import type { Stack } from '../spec/stack.ts'
import { ownValue } from './config-hash.ts'
import type { ContainerNodes, NodesByService } from './container-operations.ts'
import type { ObservedContainer } from './observed-state.ts'
import type { PlanNode } from './plan-builder.ts'
import { portText } from './service-fields.ts'

/** `8080:80/tcp`, `127.0.0.1:8080:80/tcp`, `[::1]:8080:80/tcp`: the single host port. */
const FIXED_PORT = /(?:^|:)(\d+):\d+\/(\w+)$/

/**
 * Lets each operation that takes a host port come after those that give it up. Addresses are not told apart: the worst
 * of that is a needless order. Two updates that swap ports with each other get no order: the reconciler's port map
 * changes atomically.
 */
export function orderPortHandovers(nodes: NodesByService, stack: Stack): void {
  const byStop: Givers = new Map()
  const byUpdate: Givers = new Map()
  const takers: Taker[] = []
  for (const [service, containers] of nodes) {
    const wanted = hostPorts((ownValue(stack.services, service)?.ports ?? []).map(portText))
    for (const container of containers) {
      const held = hostPorts(recordedPorts(container.steps.container))
      if (container.stop) add(byStop, held, { service, node: container.stop })
      const taken = new Set([...wanted].filter((port) => !held.has(port)))
      const given = new Set([...held].filter((port) => !wanted.has(port)))
      const changed = container.update ?? (container.steps.roll && container.start)
      if (changed && taken.size === 0) add(byUpdate, given, { service, node: changed })
      takers.push(...takersOf({ service, container }, { wanted, taken }))
    }
  }
  for (const { service, node, ports } of takers) {
    const givers = [...ports].flatMap((port) => [
      ...(byStop.get(port) ?? []),
      ...(byUpdate.get(port) ?? []),
    ])
    for (const { service: other, node: giver } of givers) {
      if (other === service) continue // replicas share a port
      giver.after.delete(node) // a port is needed at once, a short gap can wait
      node.after.add(giver)
    }
  }
}

interface Party {
  readonly service: string
  readonly node: PlanNode
}

interface Taker extends Party {
  readonly ports: ReadonlySet<string>
}

/** By port. */
type Givers = Map<string, Party[]>

function* takersOf(
  { service, container }: { readonly service: string; readonly container: ContainerNodes },
  { wanted, taken }: { readonly wanted: ReadonlySet<string>; readonly taken: ReadonlySet<string> },
): Iterable<Taker> {
  const { start, update } = container
  if (start) yield { service, node: start, ports: wanted }
  if (update) yield { service, node: update, ports: taken }
}

function add(givers: Givers, ports: ReadonlySet<string>, party: Party): void {
  for (const port of ports) {
    const parties = givers.get(port)
    if (parties) parties.push(party)
    else givers.set(port, [party])
  }
}

function hostPorts(texts: readonly string[]): ReadonlySet<string> {
  const ports = new Set<string>()
  for (const text of texts) {
    const [, port, protocol] = FIXED_PORT.exec(text) ?? []
    if (port !== undefined && protocol !== undefined) ports.add(`${port}/${protocol}`)
  }
  return ports
}

/** What a container was made with; a record of another form counts as none. */
function recordedPorts(container: ObservedContainer | undefined): readonly string[] {
  const field = ownValue(container?.fields ?? {}, 'ports')
  if (field === undefined) return []
  const texts = field.match(/"[^"]*"/g) ?? []
  return texts.map((text) => text.slice(1, -1))
}
