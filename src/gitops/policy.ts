/**
 * What a stack file from git may ask for. Whoever may write to the repository is only half trusted: containers that are
 * confined, with files of the repository, networks and volumes of their own, are theirs to have; what reaches into the
 * host or into other stacks needs a permission of the source's user.
 */
import type { Permissions } from '../api/gitops-types.ts'
import type { Finding } from '../spec/finding.ts'
import type { Service, ServiceVolume, Stack } from '../spec/stack.ts'
import { imagePathOf } from './image-path.ts'
import { isWithin } from './confined-files.ts'

/** What the policy holds a stack against. */
export interface PolicyContext {
  /** The checkout, absolute and real. */
  readonly root: string
  /** The directory of the stack file, in it. */
  readonly directory: string
  readonly allow: Permissions
  /** Where a path leads: a container may have put a link into a directory that is allowed. */
  readonly realpath: (path: string) => string
}

/** What one check finds, with the path below the service. */
interface Breach {
  readonly at: readonly (string | number)[]
  readonly what: string
  /** The option that would allow it. */
  readonly option: string
}

type ServiceCheck = (service: Service, context: PolicyContext) => readonly Breach[]

/** Docker's default set: what a container has anyway is no breach. */
const DEFAULT_CAPABILITIES: ReadonlySet<string> = new Set([
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['NET_BIND_SERVICE', 'NET_RAW', 'SYS_CHROOT', 'MKNOD', 'AUDIT_WRITE', 'SETFCAP'],
])

/** Attributes that join a namespace: of the host, or of a container of another stack. */
const NAMESPACES = ['network_mode', 'pid', 'ipc', 'uts', 'userns_mode', 'cgroup'] as const

const SAFE_SECURITY_OPTIONS = /^(?:no-new-privileges(?:[:=]true)?|seccomp[=:]default|label[=:].*)$/

/** Whether a path may be used: of the checkout, or allowed. */
function isPathAllowed(path: string, { root, allow, realpath }: PolicyContext): boolean {
  const real = realpath(path)
  return [root, ...allow.hostPaths.map(realpath)].some((allowed) => isWithin(allowed, real))
}

const checkPrivileged: ServiceCheck = (service, { allow }) => {
  if (allow.privileged) return []
  const option = '--allow-privileged'
  const breaches: Breach[] = []
  if (service.privileged === true)
    breaches.push({ at: ['privileged'], what: 'a privileged container', option })
  if (service.use_api_socket === true)
    breaches.push({ at: ['use_api_socket'], what: "the daemon's socket", option })
  if (service.cgroup_parent !== undefined)
    breaches.push({ at: ['cgroup_parent'], what: 'another control group', option })
  if (service.runtime !== undefined)
    breaches.push({ at: ['runtime'], what: 'another runtime', option })
  for (const [index, text] of (service.security_opt ?? []).entries()) {
    if (!SAFE_SECURITY_OPTIONS.test(text))
      breaches.push({ at: ['security_opt', index], what: `security option "${text}"`, option })
  }
  for (const kind of ['pre_start', 'post_start', 'pre_stop'] as const) {
    for (const [index, hook] of (service[kind] ?? []).entries()) {
      if (hook.privileged === true)
        breaches.push({ at: [kind, index, 'privileged'], what: 'a privileged hook', option })
    }
  }
  return breaches
}

const checkNamespaces: ServiceCheck = (service, { allow }) => {
  if (allow.hostNamespaces) return []
  const option = '--allow-host-namespaces'
  const joined = NAMESPACES.flatMap((key): Breach[] => {
    const value = service[key]
    if (value === 'host') return [{ at: [key], what: `${key} of the host`, option }]
    if (value?.startsWith('container:') === true)
      return [{ at: [key], what: `${key} of another stack's container`, option }]
    return []
  })
  const borrowed = (service.volumes_from ?? []).flatMap((text, index): Breach[] =>
    text.startsWith('container:')
      ? [{ at: ['volumes_from', index], what: "volumes of another stack's container", option }]
      : [],
  )
  return [...joined, ...borrowed]
}

const checkCapabilities: ServiceCheck = (service, { allow }) =>
  (service.cap_add ?? []).flatMap((text, index): Breach[] => {
    const name = text.toUpperCase().replace(/^CAP_/, '')
    if (DEFAULT_CAPABILITIES.has(name)) return []
    if (allow.capabilities.includes(name) || allow.capabilities.includes('ALL')) return []
    const option = `--allow-capabilities ${name}`
    return [{ at: ['cap_add', index], what: `capability ${name}`, option }]
  })

const checkDevices: ServiceCheck = (service, { allow }) => {
  const devices = (service.devices ?? []).flatMap(({ source }, index): Breach[] => {
    if (allow.devices.some((allowed) => isWithin(allowed, source))) return []
    return [
      { at: ['devices', index], what: `device ${source}`, option: `--allow-devices ${source}` },
    ]
  })
  const rules = service.device_cgroup_rules ?? []
  if (rules.length > 0 && !allow.privileged)
    devices.push({
      at: ['device_cgroup_rules'],
      what: 'rules for devices',
      option: '--allow-privileged',
    })
  const reserved = service.deploy?.resources?.reservations?.devices ?? []
  if (allow.devices.includes('gpus')) return devices
  const option = '--allow-devices gpus'
  if (service.gpus !== undefined) devices.push({ at: ['gpus'], what: 'GPUs', option })
  if (reserved.length > 0)
    devices.push({
      at: ['deploy', 'resources', 'reservations', 'devices'],
      what: 'devices that are reserved',
      option,
    })
  return devices
}

const checkMounts: ServiceCheck = (service, context) =>
  (service.volumes ?? []).flatMap(({ type, source = '' }: ServiceVolume, index): Breach[] => {
    if (type !== 'bind' || isPathAllowed(source, context)) return []
    const option = `--allow-host-paths ${source}`
    return [{ at: ['volumes', index], what: `the host's path "${source}"`, option }]
  })

/** `dir:`, `oci:` and the like read files of the host; relative ones are in the repository. */
const checkImages: ServiceCheck = (service, context) => {
  const references = [
    { at: ['image'], reference: service.image },
    ...(service.volumes ?? []).map(({ type, source }, index) => ({
      at: ['volumes', index],
      reference: type === 'image' ? source : undefined,
    })),
    ...(service.pre_start ?? []).map(({ image }, index) => ({
      at: ['pre_start', index, 'image'],
      reference: image,
    })),
  ]
  return references.flatMap(({ at, reference }): Breach[] =>
    imagePathOf(reference ?? '', context.directory)
      .filter((path) => !isPathAllowed(path, context))
      .map((path) => ({
        at,
        what: `an image of the host's path "${path}"`,
        option: `--allow-host-paths ${path}`,
      })),
  )
}

const checkBuild: ServiceCheck = ({ build }, context) => {
  if (build === undefined) return []
  const breaches: Breach[] = []
  const place = build['context']
  if (typeof place === 'string' && !isPathAllowed(place, context))
    breaches.push({
      at: ['build', 'context'],
      what: `the build context "${place}"`,
      option: `--allow-host-paths ${place}`,
    })
  const others = Object.entries((build['additional_contexts'] ?? {}) as Record<string, unknown>)
  for (const [name, value] of others) {
    if (typeof value !== 'string' || value.startsWith('service:')) continue
    if (isPathAllowed(value, context)) continue
    const option = `--allow-host-paths ${value}`
    const at = ['build', 'additional_contexts', name]
    breaches.push({ at, what: `the build context "${value}"`, option })
  }
  if (context.allow.privileged) return breaches
  const forbidden = (['privileged', 'entitlements', 'ssh', 'network'] as const).filter((key) =>
    key === 'network' ? build[key] === 'host' : build[key] !== undefined && build[key] !== false,
  )
  const option = '--allow-privileged'
  return [
    ...breaches,
    ...forbidden.map((key) => ({ at: ['build', key], what: `build.${key}`, option })),
  ]
}

const CHECKS: readonly ServiceCheck[] = [
  checkPrivileged,
  checkNamespaces,
  checkCapabilities,
  checkDevices,
  checkMounts,
  checkImages,
  checkBuild,
]

/**
 * Everything that the stack asks for and may not have, with the option of `tsstack gitops add` that would allow it.
 * Empty: it may be applied.
 */
export function policyFindings(stack: Stack, context: PolicyContext): Finding[] {
  const services = Object.entries(stack.services).flatMap(([name, service]) =>
    CHECKS.flatMap((check) => check(service, context)).map((breach) =>
      findingOf(['services', name], breach),
    ),
  )
  return [...services, ...foreignFindings(stack, context), ...volumeFindings(stack, context)]
}

function findingOf(at: readonly (string | number)[], breach: Breach): Finding {
  const path = [...at, ...breach.at]
  return {
    path,
    message: `asks for ${breach.what}, which this source may not have`,
    expected: 'nothing that reaches into the host or into other stacks',
    suggestion: `remove it, or give the source ${breach.option}`,
  }
}

interface Named {
  readonly name: string
  readonly external?: boolean
}

/** Volumes and networks of other stacks: external ones, and those that are called as if they were. */
function foreignFindings(stack: Stack, context: PolicyContext): Finding[] {
  const { volumes, networks, configs, secrets } = stack
  const isOwn = ({ name }: Named): boolean => name.startsWith(`${stack.name}_`)
  // Configs and secrets have contents, and no name that another stack could know.
  const always = (): boolean => true
  return [
    ...foreignOf('volumes', volumes, { isOwn, context }),
    ...foreignOf('networks', networks, { isOwn, context }),
    ...foreignOf('configs', configs, { isOwn: always, context }),
    ...foreignOf('secrets', secrets, { isOwn: always, context }),
  ]
}

function foreignOf(
  kind: 'volumes' | 'networks' | 'configs' | 'secrets',
  definitions: Readonly<Record<string, Named>>,
  { isOwn, context }: { isOwn: (definition: Named) => boolean; context: PolicyContext },
): Finding[] {
  return Object.entries(definitions).flatMap(([key, definition]) => {
    const { name, external } = definition
    if (external !== true && isOwn(definition)) return []
    if (context.allow.external.includes(name)) return []
    const what = `${kind.slice(0, -1)} "${name}", which is not the stack's own`
    return [findingOf([kind, key], { at: [], what, option: `--allow-external ${name}` })]
  })
}

/** Volumes that are mounts of something of the host's or of the network's. */
function volumeFindings(stack: Stack, context: PolicyContext): Finding[] {
  return Object.entries(stack.volumes).flatMap(([key, { driver_opts: options = {} }]) => {
    const { device, type } = options
    if (device === undefined || type === 'tmpfs') return []
    if (device.startsWith('/') && isPathAllowed(device, context)) return []
    const option = `--allow-host-paths ${device}`
    const what = `a volume of the device "${device}"`
    return [findingOf(['volumes', key], { at: ['driver_opts', 'device'], what, option })]
  })
}
