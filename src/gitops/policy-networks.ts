/** What of the host's network the networks of a stack file from git may be. */
import { DEFAULT_POOLS } from '../network/ipam.ts'
import {
  contains,
  overlaps,
  parseSubnet,
  requireSubnet,
  type Subnet,
} from '../network/ip-address.ts'
import type { Finding } from '../spec/finding.ts'
import type { Stack } from '../spec/stack.ts'
import { findingOf, type PolicyContext } from './policy-context.ts'

const SAFE_NETWORK_OPTIONS: ReadonlySet<string> = new Set([
  'com.docker.network.driver.mtu',
  'com.docker.network.bridge.enable_icc',
  'com.docker.network.bridge.enable_ip_masquerade',
  'com.docker.network.bridge.host_binding_ipv4',
])

/** RFC 1918, RFC 6598, RFC 4193: what lies elsewhere is somebody's, and the host would not reach it any more. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'].map(
  requireSubnet,
)
const POOLS = DEFAULT_POOLS.map(requireSubnet)
/** Of bits: a larger subnet is more than containers of one stack need. */
const MIN_PREFIX = { 4: 16, 6: 48 } as const
/** A larger part of a pool would be missing to other stacks. */
const MIN_POOL_PREFIX = { 4: 20, 6: 64 } as const

export function networkFindings(stack: Stack, context: PolicyContext): Finding[] {
  return [...driverFindings(stack, context), ...subnetFindings(stack, context)]
}

function subnetFindings(stack: Stack, { allow }: PolicyContext): Finding[] {
  return Object.entries(stack.networks).flatMap(([key, { ipam }]) =>
    (ipam?.config ?? []).flatMap(({ subnet: text = '' }, index) => {
      const subnet = parseSubnet(text)
      // What is no subnet at all is refused when the network is made.
      if (subnet === undefined || isModest(subnet) || allow.external.includes(text)) return []
      const at = ['ipam', 'config', index, 'subnet']
      const what = `subnet "${text}", which is not private, or too large`
      return [findingOf(['networks', key], { at, what, option: `--allow-external ${text}` })]
    }),
  )
}

function isModest(subnet: Subnet): boolean {
  const { family, base, prefix } = subnet
  const isPrivate = PRIVATE.some((range) => contains(range, { family, value: base }))
  const ofPool = POOLS.some((pool) => overlaps(pool, subnet))
  return isPrivate && prefix >= (ofPool ? MIN_POOL_PREFIX : MIN_PREFIX)[family]
}

/** An interface of the host's own network (macvlan) is a host in it. */
function driverFindings(stack: Stack, { allow }: PolicyContext): Finding[] {
  if (allow.hostNamespaces) return []
  const option = '--allow-host-namespaces'
  return Object.entries(stack.networks).flatMap(([key, { driver = '', driver_opts = {} }]) => {
    if (!['', 'bridge', 'default'].includes(driver)) {
      const what = `the network driver "${driver}"`
      return [findingOf(['networks', key], { at: ['driver'], what, option })]
    }
    return Object.keys(driver_opts)
      .filter((name) => !SAFE_NETWORK_OPTIONS.has(name))
      .map((name) => {
        const at = ['driver_opts', name]
        return findingOf(['networks', key], { at, what: `the network option "${name}"`, option })
      })
  })
}
