/** Which interfaces matter to which stack: most notifications of the kernel are about others, or about our own work. */
import { BRIDGE_PREFIX, VETH_PREFIX, vethName } from '../../network/interface-names.ts'
import type { Context } from '../context.ts'

export interface NetworkInterests {
  /** Stacks whose network or running container has an interface of this name. */
  stacksOf(interfaceName: string): string[]
}

export function networkInterests(context: Context): NetworkInterests {
  return {
    stacksOf(interfaceName) {
      if (interfaceName.startsWith(BRIDGE_PREFIX)) return stacksOfBridge(context, interfaceName)
      return interfaceName.startsWith(VETH_PREFIX) ? stacksOfPair(context, interfaceName) : []
    },
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

function stacksOfPair(context: Context, interfaceName: string): string[] {
  for (const id of context.live.keys()) {
    const record = context.containers.get(id)
    const isOurs = record?.config.endpoints.some(
      ({ network }) => vethName(id, network) === interfaceName,
    )
    if (record !== undefined && isOurs === true) return [record.config.stack]
  }
  return []
}
