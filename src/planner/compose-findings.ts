/** What of a stack can't be carried out: looked up in compose-support.ts before a plan is made. */
import { TsstackError } from '../errors.ts'
import type { Stack } from '../spec/stack.ts'
import {
  COMPOSE_SUPPORT,
  LOG_DRIVERS,
  LOG_OPTIONS,
  type HostPlatform,
  type Support,
} from './compose-support.ts'
import { BRIDGE_OPTION, MACVLAN_OPTION } from './network-options.ts'
import { unpublishablePorts } from './unpublishable-ports.ts'

interface Finding {
  /** `service "web": deploy.mode`. */
  readonly where: string
  readonly support: Support & { readonly status: 'noted' | 'refused' }
}

/**
 * @param services - those that a request is about; what others say is passed over
 * @returns warnings: attributes that are accepted but have no effect
 * @throws {UNIMPLEMENTED} naming every attribute that is refused, with the reason and what to do
 * @throws {INVALID_ARGUMENT} for ports of a service that shares the network of another
 */
export function checkSupport(
  stack: Stack,
  services: ReadonlySet<string>,
  platform: HostPlatform,
): string[] {
  const findings = Object.entries(COMPOSE_SUPPORT).flatMap(([path, support]) =>
    support.status === 'noted' || support.status === 'refused'
      ? findingsAt(path.split('.'), { stack, services, platform, support })
      : [],
  )
  const refusals = findings.filter(({ support }) => support.status === 'refused')
  if (refusals.length > 0) throw refusalOf(refusals)
  return [
    ...findings.map(({ where, support }) => `${where} has no effect: ${support.note}`),
    ...unpublishablePorts(stack, services),
    ...unknownOptions(stack, services),
    ...unknownLogOptions(stack, services),
    ...dockerSockets(stack, services),
  ]
}

const NETWORK_OPTIONS: ReadonlySet<string> = new Set([
  ...Object.values(BRIDGE_OPTION),
  ...Object.values(MACVLAN_OPTION),
])

/** Names of options are no attributes: the table has none of them. */
function unknownOptions(stack: Stack, services: ReadonlySet<string>): string[] {
  return Object.entries(stack.networks).flatMap(([key, { driver_opts = {} }]) =>
    isWanted(['networks', key], { services, stack })
      ? Object.keys(driver_opts)
          .filter((option) => !NETWORK_OPTIONS.has(option))
          .map((option) => `network "${key}": ${option} has no effect: there is no such option`)
      : [],
  )
}

/** Proxies and dashboards that look for their neighbours at Docker find those of Docker. */
function dockerSockets(stack: Stack, services: ReadonlySet<string>): string[] {
  return Object.entries(stack.services).flatMap(([name, { volumes = [] }]) =>
    services.has(name) &&
    volumes.some(({ type, source }) => type === 'bind' && source?.endsWith('/docker.sock') === true)
      ? [
          `service "${name}" mounts the socket of Docker, which knows nothing of the containers of tsstack`,
        ]
      : [],
  )
}

/** Of another driver, which has no effect as a whole, the options are not told of one by one. */
function unknownLogOptions(stack: Stack, services: ReadonlySet<string>): string[] {
  return [...services].flatMap((name) => {
    const { driver = 'json-file', options = {} } = stack.services[name]?.logging ?? {}
    if (!LOG_DRIVERS.includes(driver)) return []
    return Object.keys(options)
      .filter((option) => !LOG_OPTIONS.includes(option))
      .map((option) => `service "${name}": logging.options.${option} has no effect`)
  })
}

interface Search {
  readonly stack: Stack
  readonly services: ReadonlySet<string>
  readonly platform: HostPlatform
  readonly support: Support & { readonly status: 'noted' | 'refused' }
}

function findingsAt(path: readonly string[], search: Search): Finding[] {
  const { support, platform } = search
  if (support.status === 'noted' && support.quiet === true) return []
  const when = support.when ?? ((value): boolean => value !== null && value !== false)
  return valuesAt(search.stack, path)
    .filter(
      ({ value, keys }) => value !== undefined && isWanted(keys, search) && when(value, platform),
    )
    .map(({ keys }) => ({ where: describe(keys), support }))
}

/** Networks, volumes and files that only other services use are in no plan either. */
function isWanted(
  [section, name = '']: readonly string[],
  { services, stack }: Pick<Search, 'services' | 'stack'>,
): boolean {
  if (section === 'services') return services.has(name)
  return [...services].some((service) => {
    const users = stack.services[service]
    if (section === 'networks') return Object.hasOwn(users?.networks ?? {}, name)
    if (section === 'volumes')
      return users?.volumes?.some(({ type, source }) => type === 'volume' && source === name)
    if (section === 'configs') return users?.configs?.some(({ source }) => source === name)
    return users?.secrets?.some(({ source }) => source === name)
  })
}

interface Located {
  readonly value: unknown
  readonly keys: readonly string[]
}

function valuesAt(root: object, path: readonly string[]): Located[] {
  return path.reduce<Located[]>(
    (found, segment) => found.flatMap((at) => step(at, segment)),
    [{ value: root, keys: [] }],
  )
}

function step({ value, keys }: Located, segment: string): Located[] {
  if (typeof value !== 'object' || value === null) return []
  if (segment === '*')
    return Object.entries(value as Record<string, unknown>).map(([key, inner]) => ({
      value: inner,
      keys: [...keys, key],
    }))
  const name = segment.replace('[]', '')
  const inner = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
  const at = { value: inner, keys: [...keys, name] }
  return segment.endsWith('[]') ? step(at, '*') : [at]
}

const KINDS: Readonly<Record<string, string>> = {
  services: 'service',
  networks: 'network',
  volumes: 'volume',
  configs: 'config',
  secrets: 'secret',
}

function describe([section = '', name = '', ...rest]: readonly string[]): string {
  return `${KINDS[section] ?? section} "${name}": ${rest.join('.')}`
}

function refusalOf(refusals: readonly Finding[]): TsstackError {
  const lines = refusals.map(({ where, support }) => `${where} is refused: ${support.note}`)
  const hints = refusals.map(({ where, support }) =>
    support.status === 'refused' ? `${where.replace(/^.*: /, '')}: ${support.hint}` : '',
  )
  return new TsstackError('UNIMPLEMENTED', `Cannot bring the stack up:\n  ${lines.join('\n  ')}`, {
    hint: [...new Set(hints)].join('\n      '),
  })
}
