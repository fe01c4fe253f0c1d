/** `gpus`, `deploy.resources.reservations.devices` and CDI names among `devices`: what a container gets for them. */
import {
  isCdiName,
  readCdiRegistry,
  type CdiEdits,
  type CdiRegistry,
} from '../engine/cdi-registry.ts'
import type { ContainerMount, DeviceMapping } from '../engine/container-config.ts'
import { TsstackError } from '../errors.ts'
import type { DeviceRequest, Service } from '../spec/stack.ts'

export interface DeviceEdits {
  readonly devices: readonly DeviceMapping[]
  readonly mounts: readonly ContainerMount[]
  readonly environment: Readonly<Record<string, string>>
  readonly groups: readonly string[]
}

const NONE: DeviceEdits = { devices: [], mounts: [], environment: {}, groups: [] }
const ALL = -1
const ALL_IDS = ['all']

/**
 * @throws {NOT_FOUND} for a device that the host does not describe
 * @throws {FAILED_PRECONDITION} where what is asked for can't be told from what the host describes
 */
export function deviceEditsOf(service: Service): DeviceEdits {
  const named = (service.devices ?? []).map(({ source }) => source).filter(isCdiName)
  const requests = [
    ...(service.gpus ?? []).map((request) => ({ capabilities: ['gpu'], ...request })),
    ...(service.deploy?.resources?.reservations?.devices ?? []),
  ]
  if (named.length === 0 && requests.length === 0) return NONE
  const registry = readCdiRegistry()
  const wanted = [...named, ...requests.flatMap((request) => namesOf(request, registry))]
  return merged([...new Set(wanted)].flatMap((name) => registry.editsOf(name)))
}

function namesOf(request: DeviceRequest, registry: CdiRegistry): readonly string[] {
  const { driver, count, device_ids: ids } = request
  if (driver === 'cdi') return ids ?? []
  const kind = kindOf(request, registry)
  if (ids !== undefined) return ids.map((id) => (isCdiName(id) ? id : `${kind}=${id}`))
  const number = Number(count ?? ALL)
  const names =
    number === ALL ? ALL_IDS : Array.from({ length: number }, (_, index) => String(index))
  return names.map((name) => `${kind}=${name}`)
}

/** `driver: nvidia` -> `nvidia.com/gpu`; without one, the only kind of graphics processors that there is. */
function kindOf({ driver, capabilities = [] }: DeviceRequest, { kinds }: CdiRegistry): string {
  const given = kinds.filter((kind) => kind.endsWith('/gpu'))
  if (driver !== undefined && driver !== '') return `${driver}.com/gpu`
  const [only, ...others] = given
  const isPlain = capabilities.every((name) => GPU_CAPABILITIES.has(name))
  if (only !== undefined && others.length === 0 && isPlain) return only
  throw new TsstackError(
    'FAILED_PRECONDITION',
    isPlain
      ? `Cannot reserve a graphics processor: this host describes ${only === undefined ? 'none' : given.join(' and ')}`
      : `Cannot reserve a device with ${capabilities.join(', ')}: no driver is named`,
    {
      hint:
        only === undefined
          ? 'Let the tool of its vendor describe it in /etc/cdi, such as "nvidia-ctk cdi generate"; or name the nodes in "devices:"'
          : 'Write "driver:", or "driver: cdi" and device_ids',
    },
  )
}

/** What the driver of a graphics processor is asked for; all of it comes with the device. */
const GPU_CAPABILITIES = new Set([
  ...['gpu', 'compute', 'compat32', 'graphics', 'utility', 'video', 'display', 'nvidia'],
])

function merged(edits: readonly CdiEdits[]): DeviceEdits {
  refuseHooks(edits)
  const variables = edits.flatMap(({ env = [] }) => env.map((text) => text.split(/=(.*)/s)))
  return {
    devices: edits.flatMap(({ deviceNodes = [] }) =>
      deviceNodes.map(({ path, hostPath = path, permissions = 'rwm' }) => ({
        source: hostPath,
        target: path,
        access: permissions,
      })),
    ),
    mounts: edits.flatMap(({ mounts = [] }) => mounts.map(mountOf)),
    environment: Object.fromEntries(variables.map(([name = '', value = '']) => [name, value])),
    groups: edits.flatMap(({ additionalGids = [] }) => additionalGids.map(String)),
  }
}

function mountOf({
  hostPath,
  containerPath,
  options = [],
}: NonNullable<CdiEdits['mounts']>[number]): ContainerMount {
  return {
    kind: 'bind',
    source: hostPath,
    target: containerPath,
    readOnly: options.includes('ro'),
    recursive: options.includes('rbind'),
    propagation: 'private',
    createSource: false,
  }
}

/** Hooks that only make libraries easier to find are passed over: the loader finds them where they are mounted. */
const NEEDLESS_HOOKS = /nvidia-ctk|nvidia-cdi-hook|ldconfig/

function refuseHooks(edits: readonly CdiEdits[]): void {
  const [hook] = edits.flatMap(({ hooks = [] }) =>
    hooks.filter(({ path }) => !NEEDLESS_HOOKS.test(path)),
  )
  if (hook === undefined) return
  throw new TsstackError(
    'UNIMPLEMENTED',
    `Cannot pass a device: it wants hook "${hook.path}" to be run (${hook.hookName}), and hooks of the host are not`,
    { hint: 'Name the nodes in "devices:" and the files in "volumes:" instead' },
  )
}
