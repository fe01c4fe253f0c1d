/** Which interfaces matter to which stack: most notifications of the kernel are about others, or about our own work. */
import { BRIDGE_PREFIX, VETH_PREFIX, vethName } from '../../network/interface-names.ts'
import type { Context } from '../context.ts'
import type { ContainerRecord } from '../records.ts'

export class NetworkInterests {
  readonly #contextOf: () => Context
  /** Container ids by the names of their interfaces: a name is a digest, known only when it has been made. */
  readonly #owners = new Map<string, string>()
  readonly #indexed = new WeakSet<ContainerRecord>()

  constructor(contextOf: () => Context) {
    this.#contextOf = contextOf
  }

  /** Stacks whose network or running container has an interface of this name. */
  stacksOf(interfaceName: string): string[] {
    const context = this.#contextOf()
    if (interfaceName.startsWith(BRIDGE_PREFIX)) return stacksOfBridge(context, interfaceName)
    return interfaceName.startsWith(VETH_PREFIX) ? this.#stacksOfPair(context, interfaceName) : []
  }

  #stacksOfPair(context: Context, interfaceName: string): string[] {
    if (!this.#owners.has(interfaceName)) this.#index(context)
    const owner = this.#owners.get(interfaceName) ?? ''
    const record = context.live.has(owner) ? context.containers.get(owner) : undefined
    return record === undefined ? [] : [record.config.stack]
  }

  #index({ live, containers }: Context): void {
    for (const [name, id] of this.#owners) if (!live.has(id)) this.#owners.delete(name)
    for (const id of live.keys()) {
      const record = containers.get(id)
      if (record === undefined || this.#indexed.has(record)) continue
      this.#indexed.add(record)
      for (const { network } of record.config.endpoints) this.#owners.set(vethName(id, network), id)
    }
  }
}

/** Containers of several stacks may be on one network. */
function stacksOfBridge(context: Context, bridge: string): string[] {
  const document = context.networks.documents().find((candidate) => candidate.bridge === bridge)
  if (document === undefined) return []
  const users = context.containers
    .values()
    .filter(({ config }) => config.endpoints.some(({ network }) => network === document.name))
    .map(({ config }) => config.stack)
  return [...new Set([...(document.stack === undefined ? [] : [document.stack]), ...users])]
}
