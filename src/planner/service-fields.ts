/** The semantic form of a service: what of it a container can differ in, in canonical text, and its two hashes. */
import { TsstackError } from '../errors.ts'
import type { FileReference, NetworkAttachment, Port, Service, Stack } from '../spec/stack.ts'
import { canonicalJson, compareText, ownValue, sha256 } from './config-hash.ts'
import { volumesFromServices } from './dependency-graph.ts'
import type { DesiredState } from './desired-state.ts'
import { fieldClass } from './field-classes.ts'
import { imageNameOf } from './image-name.ts'
import { ipcModeOf } from './ipc-mode.ts'

/** A service as the planner compares it, and as the reconciler records it with each container that it makes. */
export interface ServiceConfiguration {
  readonly fields: Readonly<Record<string, string>>
  readonly replaceHash: string
  readonly updateHash: string
}

/** Lists whose order means nothing. */
const UNORDERED = new Set([
  'cap_add',
  'cap_drop',
  'extra_hosts',
  'group_add',
  'links',
  'external_links',
  'security_opt',
  'tmpfs',
])

/** An empty list here means `none`, unlike an absent one, which means the image's. */
const EMPTY_HAS_MEANING = new Set(['command', 'entrypoint'])

/** Fields that this module writes in a form of its own, because they point at other parts of the stack. */
const REFERRING: Readonly<
  Record<string, (service: Service, desired: DesiredState) => Record<string, unknown>>
> = {
  configs: ({ configs }, desired) => ({
    configs: mountedFiles(configs ?? [], desired.contentDigests.configs),
  }),
  secrets: ({ secrets }, desired) => ({
    secrets: mountedFiles(secrets ?? [], desired.contentDigests.secrets),
  }),
  deploy: ({ deploy }) => deployFields(deploy),
  logging: ({ logging }) => ({
    'logging.driver': logging?.driver === 'json-file' ? undefined : logging?.driver,
    'logging.options': logging?.options,
  }),
  networks: (service, desired) => networkFields(service, desired.stack),
  ports: ({ ports }) => ({ ports: [...new Set((ports ?? []).map(portText))].sort(compareText) }),
  restart: ({ restart }) => ({ restart: restart === 'no' ? undefined : restart }),
  volumes: (service, desired) => ({ volumes: mountedVolumes(service, desired) }),
  volumes_from: (service, desired) => ({ volumes_from: volumesFrom(service, desired) }),
  'x-tsstack': (service) =>
    Object.fromEntries(
      Object.entries(service['x-tsstack'] ?? {}).map(([key, value]) => [`x-tsstack.${key}`, value]),
    ),
}

/**
 * Each field of the service that a container can differ in, with its value as canonical JSON; keys sorted. Fields that
 * mean nothing to a container (field-classes.ts) and values that say the default (`[]`, `{}`, `false`, `restart: no`)
 * are left out, so that only a change of meaning is a change. The image's digest is in `image.digest`, and the content of
 * configs and secrets is in their fields as digests only.
 * @throws {NOT_FOUND} when the stack has no such service
 */
export function serviceFields(name: string, desired: DesiredState): Record<string, string> {
  const service = ownValue(desired.stack.services, name)
  if (!service)
    throw new TsstackError('NOT_FOUND', `Cannot read service "${name}": not in the stack`)
  const values: [string, unknown][] = [['image.digest', ownValue(desired.imageDigests, name)]]
  for (const [key, value] of Object.entries(service)) {
    const referring = ownValue(REFERRING, key)
    if (referring) values.push(...Object.entries(referring(service, desired)))
    else if (key !== 'ipc') values.push([key, UNORDERED.has(key) ? sortedSet(value) : value])
  }
  values.push(['ipc', ipcModeOf(name, desired.stack)])
  const fields = values
    .filter(([key, value]) => fieldClass(key) !== 'ignored' && isMeaningful(key, value))
    .map(([key, value]): [string, string] => [key, canonicalJson(value)])
    .sort(([a], [b]) => compareText(a, b))
  return Object.fromEntries(fields)
}

/** Two sha256 over the fields of one class each: the replace fields, and the fields that change in place. */
export function serviceHashes(
  fields: Readonly<Record<string, string>>,
): Pick<ServiceConfiguration, 'replaceHash' | 'updateHash'> {
  const ofClass = (wanted: string): Record<string, string> =>
    Object.fromEntries(Object.entries(fields).filter(([key]) => fieldClass(key) === wanted))
  return {
    replaceHash: sha256(canonicalJson(ofClass('replace'))),
    updateHash: sha256(canonicalJson(ofClass('update'))),
  }
}

/**
 * Fields and hashes of a service, as they have to be recorded with a container that is made or updated to it.
 * @throws {NOT_FOUND} when the stack has no such service
 */
export function serviceConfiguration(name: string, desired: DesiredState): ServiceConfiguration {
  const fields = serviceFields(name, desired)
  return { fields, ...serviceHashes(fields) }
}

/** `[host_ip:][published]:target/protocol`; what only documents the port is left out. */
export function portText(port: Port): string {
  const host = port.host_ip
    ? `${port.host_ip.includes(':') ? `[${port.host_ip}]` : port.host_ip}:`
    : ''
  return `${host}${port.published ?? ''}:${port.target}/${port.protocol}`
}

function isMeaningful(key: string, value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false
  if (EMPTY_HAS_MEANING.has(key)) return true
  return typeof value !== 'object' || Object.values(value).some((member) => member !== undefined)
}

function sortedSet(value: unknown): unknown {
  return Array.isArray(value) ? [...new Set(value.map(String))].sort(compareText) : value
}

/** By target, so that a difference is shown for one file; `content` is a digest. */
function mountedFiles(
  references: readonly FileReference[],
  digests: Readonly<Record<string, string>>,
): Record<string, object> {
  const files = references.map(({ source, target, uid, gid, mode }): [string, object] => [
    target ?? source,
    { source, uid, gid, mode, content: ownValue(digests, source) },
  ])
  return Object.fromEntries(files)
}

function deployFields(deploy: Service['deploy']): Record<string, unknown> {
  const limits = deploy?.resources?.limits
  const reservations = deploy?.resources?.reservations
  return {
    'deploy.resources.limits': limits && {
      cpus: limits.cpus,
      memory: limits.memory,
      pids: limits.pids,
    },
    'deploy.resources.limits.devices': limits?.devices,
    'deploy.resources.reservations': reservations && {
      cpus: reservations.cpus,
      memory: reservations.memory,
      pids: reservations.pids,
    },
    'deploy.resources.reservations.devices': reservations?.devices,
    'deploy.restart_policy': deploy?.restart_policy,
  }
}

/** Attachments by key, with the name of the network, but without the aliases: those change in place. */
function networkFields(service: Service, stack: Stack): Record<string, unknown> {
  const networks: Record<string, unknown> = {}
  const aliases: Record<string, unknown> = {}
  for (const [key, attachment] of Object.entries(service.networks ?? {})) {
    const { aliases: names, ...rest }: NetworkAttachment = attachment ?? {}
    networks[key] = { ...withoutExtensions(rest), name: ownValue(stack.networks, key)?.name ?? key }
    if (names?.length) aliases[key] = sortedSet(names)
  }
  return { networks, 'networks.*.aliases': aliases }
}

function withoutExtensions(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !key.startsWith('x-')))
}

/** Mounts in the order of their targets, named volumes by the name that they have outside of the stack. */
function mountedVolumes(service: Service, desired: DesiredState): readonly object[] {
  const { stack, mountedImageDigests = {} } = desired
  return (service.volumes ?? [])
    .map((mount) => {
      const definition =
        mount.type === 'volume' && mount.source !== undefined
          ? ownValue(stack.volumes, mount.source)
          : undefined
      return {
        ...withoutExtensions(mount),
        source: definition?.name ?? mount.source,
        target: mount.target,
        ...(mount.type === 'image'
          ? { digest: ownValue(mountedImageDigests, imageReference(stack, mount.source)) }
          : {}),
      }
    })
    .sort((a, b) => compareText(a.target, b.target))
}

/** `type: image` names an image, or a service whose image is meant. */
export function imageReference(stack: Stack, source = ''): string {
  return imageNameOf(stack, source) ?? source
}

/** Each source with the mounts that it stands for, all the way: a change of them is a change here. */
function volumesFrom(service: Service, desired: DesiredState): unknown[] {
  const mounts: Record<string, unknown> = {}
  const queue = [...volumesFromServices(service)]
  const seen = new Set(queue)
  for (const source of queue) {
    const sourceService = ownValue(desired.stack.services, source)
    if (!sourceService) continue
    mounts[source] = mountedVolumes(sourceService, desired)
    const more = volumesFromServices(sourceService).filter((name) => !seen.has(name))
    for (const name of more) seen.add(name)
    queue.push(...more)
  }
  const from = service.volumes_from ?? []
  return from.length === 0 ? [] : [...from, mounts]
}
