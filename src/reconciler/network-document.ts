/** From the definition of a network to what is remembered of it: driver, subnets, options. Makes nothing. */
import { bridgeName } from '../network/interface-names.ts'
import { parseAddress, parseSubnet, type Subnet } from '../network/ip-address.ts'
import { planSubnets, type SubnetRequest } from '../network/ipam.ts'
import { networkConfigHash, networkFields } from '../planner/config-hash.ts'
import { BRIDGE_OPTION, MACVLAN_OPTION } from '../planner/network-options.ts'
import type { NetworkDefinition } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'
import type { NetworkDocument } from './records.ts'

const DEFAULT_ENDPOINTS = 250
/** The kernel's bounds of a veth pair; IPv6 wants 1280. */
const MTU_RANGE = { min: 68, max: 65_535 } as const

export interface NetworkOrigin {
  readonly definition: NetworkDefinition
  /** Absent: made by `network create`. */
  readonly owner?: { readonly stack: string; readonly key: string }
  readonly expectedEndpoints?: number
}

export interface NetworkSurroundings {
  readonly documents: readonly NetworkDocument[]
  /** Routes and addresses of the host. */
  readonly host: readonly Subnet[]
}

/**
 * @throws {UNIMPLEMENTED} for a driver that there is not
 * @throws {INVALID_ARGUMENT} for subnets or options that can't be
 * @throws {FAILED_PRECONDITION} for a subnet that is another network's, or the host's
 */
export function planNetwork(
  origin: NetworkOrigin,
  surroundings: NetworkSurroundings,
): NetworkDocument {
  const { definition, owner } = origin
  const { name } = definition
  const driver = driverOf(definition)
  const subnets = planSubnets(
    {
      network: name,
      config: subnetRequests(definition),
      ipv4: definition.enable_ipv4 ?? true,
      ipv6: definition.enable_ipv6 ?? false,
      expectedEndpoints: Math.max(origin.expectedEndpoints ?? 0, DEFAULT_ENDPOINTS),
      // Such a network is a part of the host's own.
      ...(driver === 'macvlan' ? { sharesHostSubnet: true } : {}),
    },
    {
      networks: surroundings.documents.flatMap((document) =>
        document.subnets.flatMap(({ subnet }) => parseSubnet(subnet) ?? []),
      ),
      host: surroundings.host,
    },
  )
  return {
    name,
    ...(owner === undefined ? {} : owner),
    configHash: networkConfigHash(definition),
    fields: networkFields(definition),
    bridge: bridgeName(name),
    ...(driver === 'macvlan' ? { macvlan: macvlanOf(definition) } : {}),
    subnets,
    internal: definition.internal ?? false,
    ...bridgeOptions(definition),
    labels: {
      ...definition.labels,
      ...(owner === undefined
        ? {}
        : {
            'com.docker.compose.project': owner.stack,
            'com.docker.compose.network': owner.key,
          }),
    },
    createdAt: new Date().toISOString(),
  }
}

function driverOf({ name, driver = 'bridge' }: NetworkDefinition): 'bridge' | 'macvlan' {
  if (driver === 'bridge' || driver === 'default' || driver === '') return 'bridge'
  if (driver === 'macvlan') return driver
  throw new TsstackError(
    'UNIMPLEMENTED',
    `Cannot create network "${name}": there is no driver "${driver}"`,
    { hint: 'Use "bridge" or "macvlan"' },
  )
}

function subnetRequests(definition: NetworkDefinition): SubnetRequest[] {
  return (definition.ipam?.config ?? []).map(({ subnet, ip_range, gateway, aux_addresses }) => ({
    ...(subnet === undefined ? {} : { subnet }),
    ...(ip_range === undefined ? {} : { ipRange: ip_range }),
    ...(gateway === undefined ? {} : { gateway }),
    auxiliary: Object.values(aux_addresses ?? {}),
  }))
}

function bridgeOptions(
  definition: NetworkDefinition,
): Pick<NetworkDocument, 'mtu' | 'isolated' | 'masquerade' | 'hostBinding'> {
  const mtu = mtuOf(definition)
  const hostBinding = hostBindingOf(definition)
  return {
    ...(mtu === undefined ? {} : { mtu }),
    ...(isSwitchedOff(definition, BRIDGE_OPTION.containersMeet) ? { isolated: true } : {}),
    ...(isSwitchedOff(definition, BRIDGE_OPTION.masquerade) ? { masquerade: false } : {}),
    ...(hostBinding === undefined ? {} : { hostBinding }),
  }
}

/** As Go reads booleans, which Docker does (strconv.ParseBool). */
function isSwitchedOff({ name, driver_opts }: NetworkDefinition, option: string): boolean {
  const text = driver_opts?.[option] ?? ''
  if (text === '' || /^(?:1|t|T|true|True|TRUE)$/.test(text)) return false
  if (/^(?:0|f|F|false|False|FALSE)$/.test(text)) return true
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot create network "${name}": "${text}" of ${option} is not true or false`,
  )
}

function hostBindingOf({ name, driver_opts }: NetworkDefinition): string | undefined {
  const text = driver_opts?.[BRIDGE_OPTION.hostBinding]
  if (text === undefined || text === '' || text === '0.0.0.0') return undefined
  if (parseAddress(text)?.family === 4) return text
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot create network "${name}": "${text}" of ${BRIDGE_OPTION.hostBinding} is no IPv4 address`,
  )
}

function mtuOf({ name, driver_opts }: NetworkDefinition): number | undefined {
  const text = driver_opts?.[BRIDGE_OPTION.mtu]
  if (text === undefined || text === '' || text === '0') return undefined
  const mtu = Number(text)
  if (Number.isInteger(mtu) && mtu >= MTU_RANGE.min && mtu <= MTU_RANGE.max) return mtu
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot create network "${name}": MTU "${text}" is not between ${MTU_RANGE.min} and ${MTU_RANGE.max}`,
  )
}

const MODES = ['bridge', 'private', 'vepa', 'passthru'] as const

function macvlanOf({
  name,
  driver_opts = {},
}: NetworkDefinition): NonNullable<NetworkDocument['macvlan']> {
  const { [MACVLAN_OPTION.parent]: parent, [MACVLAN_OPTION.mode]: mode = 'bridge' } = driver_opts
  if (parent === undefined || parent === '')
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot create network "${name}": a macvlan network needs the host's interface that it is on`,
      { hint: 'Set "driver_opts: { parent: eth0 }"' },
    )
  const known = MODES.find((candidate) => candidate === mode)
  if (known !== undefined) return { parent, mode: known }
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot create network "${name}": "${mode}" is not one of ${MODES.join(', ')}`,
  )
}
