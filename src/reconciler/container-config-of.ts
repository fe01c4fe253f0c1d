/** Service -> ContainerConfig: texts become numbers, the image's defaults fill what the stack leaves open. */
import type {
  ContainerConfig,
  Endpoint,
  NamespaceMode,
  NetworkMode,
  PortMapping,
} from '../engine/container-config.ts'
import type { Image } from '../engine/images/image.ts'
import { parseSignal } from '../engine/signals.ts'
import { imageNameOf } from '../planner/image-name.ts'
import { ipcModeOf } from '../planner/ipc-mode.ts'
import { builtInNetworkOf } from '../planner/built-in-network.ts'
import { parseBytes } from '../spec/bytes.ts'
import { parseDurationMs } from '../spec/duration.ts'
import type { Service, Stack } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'
import type { ContainerIdentity, ConversionInput } from './conversion-input.ts'
import { containerMounts, containerFiles } from './container-mounts.ts'
import { deviceAccessOf } from './device-access-of.ts'
import { deviceEditsOf } from './device-requests.ts'
import { externalRuntimeOf } from './external-runtime.ts'
import { healthCheckOf } from './health-check-of.ts'
import { hooksOf } from './hooks-of.ts'
import { resourceLimitsOf } from './resource-limits-of.ts'
import { restartPolicyOf } from './restart-policy-of.ts'
import { securityOptionsOf } from './security-options.ts'
import { storageLimitOf } from './storage-limit-of.ts'
import { sysctlsOf } from './sysctls-of.ts'

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const DEFAULT_SHM_BYTES = 64 * 1024 * 1024
const DEFAULT_STOP_GRACE_MS = 10_000
/** Room for a million lines of a hundred bytes, and no more (docs/decisions). */
const DEFAULT_LOG_BYTES = 64 * 1024 * 1024
const DEFAULT_LOG_FILES = 5

/** @throws {INVALID_ARGUMENT} for values that only the engine can judge */
export function containerConfigOf(input: ConversionInput): ContainerConfig {
  const { stack, service, identity, image } = input
  const health = healthCheckOf(service, image)
  const requested = deviceEditsOf(service)
  const networkMode = networkModeOf(input)
  const hostname = service.hostname ?? defaultHostname(input, networkMode)
  const namespaces = { ...namespacesOf(input), ...sharedMemoryOf(input), networkMode }
  return {
    name: identity.name,
    stack: stack.name,
    service: identity.serviceName,
    number: identity.number,
    oneoff: identity.oneoff,
    image: { reference: imageNameOf(stack, identity.serviceName) ?? '', id: image.id },
    argv: argvOf(service, image, identity.serviceName),
    environment: {
      ...requested.environment,
      ...environmentOf(service, image, hostname),
    },
    workingDir: service.working_dir ?? image.config.workingDir ?? '/',
    ...definedUser(service.user ?? image.config.user),
    additionalGroups: [...(service.group_add ?? []), ...requested.groups],
    hostname,
    ...(service.domainname === undefined ? {} : { domainname: service.domainname }),
    tty: service.tty ?? false,
    stdinOpen: service.stdin_open ?? false,
    readOnlyRoot: service.read_only ?? false,
    ...storageLimitOf(service),
    ...externalRuntimeOf(identity.serviceName, service),
    init: service.init ?? false,
    mounts: [...containerMounts(input), ...requested.mounts],
    files: containerFiles(input),
    shmBytes: service.shm_size === undefined ? DEFAULT_SHM_BYTES : parseBytes(service.shm_size),
    privileged: service.privileged ?? false,
    capAdd: service.cap_add ?? [],
    capDrop: service.cap_drop ?? [],
    ...securityOptionsOf(service),
    ...deviceAccessOf(service, requested.devices),
    ulimits: ulimitsOf(service),
    sysctls: sysctlsOf(service, namespaces),
    ...(service.oom_score_adj === undefined ? {} : { oomScoreAdj: service.oom_score_adj }),
    ...namespaces,
    ...resolutionOf(service),
    links: linksOf(service),
    stopSignal: parseSignal(service.stop_signal ?? image.config.stopSignal ?? 'SIGTERM'),
    stopGraceMs:
      service.stop_grace_period === undefined
        ? DEFAULT_STOP_GRACE_MS
        : parseDurationMs(service.stop_grace_period),
    endpoints: endpointsOf(stack, service, identity),
    ports: networkMode.kind === 'endpoints' ? portsOf(service) : [],
    resources: resourceLimitsOf(service),
    restart: restartPolicyOf(service),
    ...(health === undefined ? {} : { health }),
    labels: labelsOf(input),
    annotations: service.annotations ?? {},
    hooks: hooksOf(input),
    logging: loggingOf(service),
  }
}

function definedUser(user: string | undefined): { user?: string } {
  return user === undefined || user === '' ? {} : { user }
}

/** How it resolves names. */
function resolutionOf(
  service: Service,
): Pick<ContainerConfig, 'extraHosts' | 'dns' | 'dnsSearch' | 'dnsOptions'> {
  return {
    extraHosts: service.extra_hosts ?? [],
    dns: service.dns ?? [],
    dnsSearch: service.dns_search ?? [],
    dnsOptions: service.dns_opt ?? [],
  }
}

/** An entrypoint of the stack's own also discards the image's command (Compose: entrypoint), unless it is empty, as with Docker. */
function argvOf(service: Service, image: Image, serviceName: string): readonly string[] {
  const hasEntrypoint = (service.entrypoint?.length ?? 0) > 0
  const entrypoint = service.entrypoint ?? image.config.entrypoint ?? []
  const command = service.command ?? (hasEntrypoint ? [] : (image.config.cmd ?? []))
  const argv = [...entrypoint, ...command]
  if (argv.length > 0) return argv
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot run service "${serviceName}": neither it nor its image has a command`,
    {
      hint: 'Set "command:"',
    },
  )
}

function environmentOf(service: Service, image: Image, hostname: string): Record<string, string> {
  const environment: Record<string, string> = {
    PATH: DEFAULT_PATH,
    HOSTNAME: hostname,
    ...image.config.env,
  }
  if (service.tty === true) environment['TERM'] ??= 'xterm'
  for (const [name, value] of Object.entries(service.environment ?? {})) {
    if (value === null) Reflect.deleteProperty(environment, name)
    else environment[name] = value
  }
  return environment
}

/** `service[:alias]` and `container[:alias]`; what is linked to must be on a network of this service. */
function linksOf(service: Service): Record<string, string> {
  const links = [...(service.links ?? []), ...(service.external_links ?? [])]
  return Object.fromEntries(
    links.map((link) => {
      const [name = '', alias = name] = link.split(':')
      return [alias.toLowerCase(), name.toLowerCase()]
    }),
  )
}

function ulimitsOf(service: Service): ContainerConfig['ulimits'] {
  const entries = Object.entries(service.ulimits ?? {})
  return Object.fromEntries(
    entries.map(([name, limit]) => [
      name,
      typeof limit === 'number'
        ? { soft: limit, hard: limit }
        : { soft: limit.soft, hard: limit.hard },
    ]),
  )
}

function namespacesOf(
  input: ConversionInput,
): Pick<ContainerConfig, 'userNamespace' | 'ipc' | 'pid' | 'uts' | 'cgroupNamespace'> {
  const { service, containerOf } = input
  return {
    userNamespace: service.userns_mode !== 'host' && service.privileged !== true,
    ipc: namespaceModeOf(service.ipc, containerOf),
    pid: namespaceModeOf(service.pid, containerOf),
    uts: namespaceModeOf(service.uts, containerOf),
    cgroupNamespace: service.cgroup === 'host' ? 'host' : 'private',
  }
}

function sharedMemoryOf({
  stack,
  identity,
}: ConversionInput): Pick<ContainerConfig, 'sharedMemory'> {
  const mode = ipcModeOf(identity.serviceName, stack)
  return mode === 'shareable' || mode === 'none' ? { sharedMemory: mode } : {}
}

function networkModeOf({ service, stack, identity, containerOf }: ConversionInput): NetworkMode {
  const mode = service.network_mode ?? builtInNetworkOf(identity.serviceName, service, stack)
  if (mode === undefined) return { kind: 'endpoints' }
  if (mode === 'host' || mode === 'none') return { kind: mode }
  return { kind: 'container', container: containerOf(mode) }
}

/** Who shares a network has the name that belongs to its addresses (moby: container mode, host mode). */
function defaultHostname(
  { service, identity, hostnameOf }: ConversionInput,
  mode: NetworkMode,
): string {
  if (mode.kind === 'host' || service.uts === 'host') return hostnameOf('host')
  if (mode.kind === 'container') return hostnameOf({ container: mode.container })
  return identity.id.slice(0, 12)
}

function namespaceModeOf(
  mode: string | undefined,
  containerOf: (reference: string) => string,
): NamespaceMode {
  if (
    mode === undefined ||
    mode === '' ||
    mode === 'private' ||
    mode === 'shareable' ||
    mode === 'none'
  )
    return { kind: 'private' }
  if (mode === 'host') return { kind: 'host' }
  return { kind: 'container', container: containerOf(mode) }
}

function endpointsOf(
  stack: Stack,
  service: Service,
  { serviceName, answersAsService }: ContainerIdentity,
): Endpoint[] {
  if (service.network_mode !== undefined) return []
  if (builtInNetworkOf(serviceName, service, stack) !== undefined) return []
  const attachments = Object.entries(service.networks ?? {})
  const endpoints = attachments.map(([key, attachment]): Endpoint => {
    return {
      network: stack.networks[key]?.name ?? `${stack.name}_${key}`,
      aliases: answersAsService ? [serviceName, ...(attachment?.aliases ?? [])] : [],
      ...(attachment?.interface_name === undefined
        ? {}
        : { interfaceName: attachment.interface_name }),
      ...(attachment?.ipv4_address === undefined ? {} : { ipv4: attachment.ipv4_address }),
      ...(attachment?.ipv6_address === undefined ? {} : { ipv6: attachment.ipv6_address }),
      ...(attachment?.mac_address === undefined ? {} : { mac: attachment.mac_address }),
      linkLocal: attachment?.link_local_ips ?? [],
      priority: attachment?.priority ?? 0,
      gatewayPriority: attachment?.gw_priority ?? 0,
    }
  })
  const [first, ...others] = endpoints.sort((a, b) => b.priority - a.priority)
  if (first === undefined) return []
  // The service's own address is for the network that is connected first (Compose: mac_address).
  const mac = first.mac ?? service.mac_address
  return [{ ...first, ...(mac === undefined ? {} : { mac }) }, ...others]
}

function portsOf(service: Service): PortMapping[] {
  return (service.ports ?? []).map((port) => {
    const [from, to = from] = (port.published ?? '').split('-')
    return {
      ...(port.host_ip === undefined || port.host_ip === '' ? {} : { hostIp: port.host_ip }),
      ...(from === undefined || from === ''
        ? {}
        : { published: { from: Number(from), to: Number(to) } }),
      target: port.target,
      protocol: port.protocol,
    }
  })
}

/** The labels by which Docker Compose's tools find the containers of a project. */
function labelsOf(input: ConversionInput): Record<string, string> {
  const { service, identity, image } = input
  const dependencies = Object.entries(service.depends_on ?? {}).map(
    ([name, { condition, restart }]) => `${name}:${condition}:${String(restart ?? false)}`,
  )
  return {
    ...image.config.labels,
    ...service.labels,
    'com.docker.compose.project': input.stack.name,
    'com.docker.compose.service': identity.serviceName,
    'com.docker.compose.container-number': String(identity.number),
    'com.docker.compose.oneoff': identity.oneoff ? 'True' : 'False',
    'com.docker.compose.config-hash': input.configHash,
    'com.docker.compose.image': image.id,
    'com.docker.compose.depends_on': dependencies.join(','),
    'com.docker.compose.project.config_files': input.files.join(','),
    'com.docker.compose.project.working_dir': input.workingDir,
  }
}

function loggingOf(service: Service): ContainerConfig['logging'] {
  // Each write drops what was written before it.
  if (service.logging?.driver === 'none') return { maxBytes: 1, maxFiles: 1 }
  const { 'max-size': size, 'max-file': files } = service.logging?.options ?? {}
  const maxBytes = parseBytes(size ?? String(DEFAULT_LOG_BYTES))
  const maxFiles = Number(files ?? DEFAULT_LOG_FILES)
  if (!Number.isInteger(maxFiles) || maxFiles < 1)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot keep the log in "${String(files)}" files: it must be a number from 1`,
    )
  return { maxBytes: maxBytes < 0 ? Number.MAX_SAFE_INTEGER : maxBytes, maxFiles }
}
