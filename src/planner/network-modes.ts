/** `network_mode` where it names a network: the service is connected to that, as to one of its `networks`. Pure. */
import type { NetworkDefinition, Service, Stack } from '../spec/stack.ts'

/** Docker's default bridge. Here each stack has one of its own: no other stack is on it. */
const DEFAULT_BRIDGE = 'default_bridge'
const BRIDGE_MODES: ReadonlySet<string> = new Set(['bridge', 'default'])
/** No network: none at all, the host's, another container's. */
const OTHER_MODE = /^(?:|none|host|(?:service|container):.*)$/

/** The stack with `bridge`, `default` and the names of networks among the networks of its services. */
export function withNamedNetworks(stack: Stack): Stack {
  const bridge: NetworkDefinition = { name: `${stack.name}_${DEFAULT_BRIDGE}` }
  const networks = new Map(
    Object.entries(stack.networks).map(([key, definition]) => {
      const isBridge = definition.external === true && definition.name === 'bridge'
      return [key, isBridge ? bridge : definition]
    }),
  )
  const services = Object.entries(stack.services).map(([name, service]): [string, Service] => {
    const { network_mode: mode = '', ...rest } = service
    if (OTHER_MODE.test(mode)) return [name, service]
    const isBridge = BRIDGE_MODES.has(mode)
    const key = isBridge ? DEFAULT_BRIDGE : mode
    if (!networks.has(key)) networks.set(key, isBridge ? bridge : { name: mode, external: true })
    return [name, { ...rest, networks: { [key]: null } }]
  })
  return {
    ...stack,
    services: Object.fromEntries(services),
    networks: Object.fromEntries(networks),
  }
}
