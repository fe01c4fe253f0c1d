/** What a service of a stack file from git may ask for, beside its build: each check names the attributes that it looks at. */
import type { ServiceVolume } from '../spec/stack.ts'
import { isWithin } from './confined-files.ts'
import { imagePathOf } from './image-path.ts'
import { isPathAllowed, ownerOf, type Breach, type ServiceCheck } from './policy-context.ts'

/** Docker's default set: what a container has anyway is no breach. */
const DEFAULT_CAPABILITIES: ReadonlySet<string> = new Set([
  ...['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['NET_BIND_SERVICE', 'NET_RAW', 'SYS_CHROOT', 'MKNOD', 'AUDIT_WRITE', 'SETFCAP'],
])

/** Attributes that join a namespace: of the host, or of a container of another stack. */
const NAMESPACES = ['network_mode', 'pid', 'ipc', 'uts', 'userns_mode', 'cgroup'] as const

/** None of its own, one that nobody else has, or that of a service of the stack. */
const OWN_NAMESPACE = /^(?:|none|private|shareable|bridge|default|service:.+)$/

const SAFE_SECURITY_OPTIONS = /^(?:no-new-privileges(?:[:=]true)?|seccomp[=:](?:default|builtin))$/

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
  // The kernel kills something else when memory runs out: of another stack, or of the host.
  if (service.oom_kill_disable === true || (service.oom_score_adj ?? 0) < 0)
    breaches.push({ at: ['oom_score_adj'], what: 'memory before everybody else', option })
  const owner = service['x-tsstack']?.owner
  if (owner !== undefined && owner !== 'folder')
    breaches.push({
      at: ['x-tsstack', 'owner'],
      what: `files as user ${owner} of the host`,
      option,
    })
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
    const value = service[key] ?? ''
    if (OWN_NAMESPACE.test(value)) return []
    return [{ at: [key], what: `${key} "${value}", which is not the stack's own`, option }]
  })
  const borrowed = (service.volumes_from ?? []).flatMap((text, index): Breach[] =>
    text.includes('container:')
      ? [{ at: ['volumes_from', index], what: "volumes of another stack's container", option }]
      : [],
  )
  return [...joined, ...borrowed]
}

/** Up to what everybody has: real-time priorities are a share of the processors that no control group bounds. */
const USUAL_LIMITS: Readonly<Record<string, number>> = { nice: 0, rtprio: 0, memlock: 8 << 20 }

const checkUlimits: ServiceCheck = (service, { allow }) => {
  if (allow.privileged) return []
  return Object.entries(service.ulimits ?? {}).flatMap(([name, limit]): Breach[] => {
    const hard = typeof limit === 'number' ? limit : limit.hard
    const usual = Object.hasOwn(USUAL_LIMITS, name) ? (USUAL_LIMITS[name] ?? 0) : Infinity
    if (usual === Infinity || (hard >= 0 && hard <= usual)) return []
    return [
      {
        at: ['ulimits', name],
        what: `more ${name} than others have`,
        option: '--allow-privileged',
      },
    ]
  })
}

const checkCapabilities: ServiceCheck = (service, { allow }) =>
  (service.cap_add ?? []).flatMap((text, index): Breach[] => {
    const name = text.toUpperCase().replace(/^CAP_/, '')
    if (DEFAULT_CAPABILITIES.has(name)) return []
    if (allow.capabilities.includes(name) || allow.capabilities.includes('ALL')) return []
    const option = `--allow-capabilities ${name}`
    return [{ at: ['cap_add', index], what: `capability ${name}`, option }]
  })

const checkDevices: ServiceCheck = (service, { allow, realpath }) => {
  const isAllowed = (source: string): boolean => {
    // Names that the host's CDI files describe are no paths.
    if (!source.startsWith('/')) return allow.devices.includes(source)
    const real = realpath(source)
    return allow.devices.some((allowed) => allowed.startsWith('/') && isWithin(allowed, real))
  }
  const devices = (service.devices ?? []).flatMap(({ source }, index): Breach[] => {
    if (isAllowed(source)) return []
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
  if (allow.devices.includes('gpus')) return devices
  const option = '--allow-devices gpus'
  if (service.gpus !== undefined) devices.push({ at: ['gpus'], what: 'GPUs', option })
  for (const kind of ['limits', 'reservations'] as const) {
    const { devices: requested = [], generic_resources: generic = [] } =
      service.deploy?.resources?.[kind] ?? {}
    const at = ['deploy', 'resources', kind, 'devices']
    if (requested.length + generic.length > 0) devices.push({ at, what: 'devices', option })
  }
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

/** Which ports may be had anyway: those that no user of the host has to be root for. */
const FIRST_FREE_PORT = 1024

/** Whoever has port 22, 80 or 443 of a host speaks in its name. */
const checkPorts: ServiceCheck = ({ ports = [] }, { allow }) =>
  ports.flatMap(({ published = '' }, index): Breach[] => {
    if (published === '') return []
    const wanted = rangeOf(published)
    const allowed = (allow.ports ?? []).flatMap((text) => rangeOf(text) ?? [])
    const isFree = wanted !== undefined && isCovered(wanted, allowed)
    if (isFree) return []
    const option = `--allow-ports ${published}`
    return [{ at: ['ports', index], what: `port ${published} of the host`, option }]
  })

interface PortRange {
  readonly first: number
  readonly last: number
}

function rangeOf(text: string): PortRange | undefined {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? []
  return first === undefined ? undefined : { first: Number(first), last: Number(last) }
}

function isCovered({ first, last }: PortRange, allowed: readonly PortRange[]): boolean {
  for (let port = first; port <= Math.min(last, FIRST_FREE_PORT - 1); port++)
    if (!allowed.some((range) => range.first <= port && port <= range.last)) return false
  return true
}

/** A name that another stack's containers have would keep it from coming up. */
const checkName: ServiceCheck = ({ container_name: name }, { allow, others, stack }) => {
  if (name === undefined || allow.external.includes(name)) return []
  const owner = ownerOf(name, /[-_]/, { stack, others })
  if (owner === undefined || owner === stack) return []
  const what = `the container name "${name}", as stack "${owner}" has them`
  return [{ at: ['container_name'], what, option: `--allow-external ${name}` }]
}

export const SERVICE_CHECKS: readonly ServiceCheck[] = [
  checkPrivileged,
  checkNamespaces,
  checkUlimits,
  checkCapabilities,
  checkDevices,
  checkMounts,
  checkImages,
  checkPorts,
  checkName,
]
