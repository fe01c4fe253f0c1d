/** `devices`, `device_cgroup_rules` and `privileged`: which devices a container has, and which it may open. */
import { isCdiName } from '../engine/cdi-registry.ts'
import type { DeviceRule } from '../engine/cgroup/resource-limits.ts'
import type { ContainerConfig, DeviceMapping } from '../engine/container-config.ts'
import { ALL_HOST_DEVICES } from '../engine/host-devices.ts'
import type { Service } from '../spec/stack.ts'
import { TsstackError } from '../errors.ts'

/**
 * @param requested what CDI gives for devices that are asked for by name
 * @throws {INVALID_ARGUMENT} for a rule that is none, and permissions that are none
 */
export function deviceAccessOf(
  service: Service,
  requested: readonly DeviceMapping[],
): Pick<ContainerConfig, 'devices' | 'deviceRules'> {
  return {
    devices:
      service.privileged === true ? [ALL_HOST_DEVICES] : [...namedDevices(service), ...requested],
    deviceRules: (service.device_cgroup_rules ?? []).map(parseRule),
  }
}

function namedDevices({ devices = [] }: Service): readonly DeviceMapping[] {
  return devices.filter(({ source }) => !isCdiName(source)).map(toMapping)
}

function toMapping({
  source,
  target = source,
  permissions = 'rwm',
}: NonNullable<Service['devices']>[number]): DeviceMapping {
  if (/^[rwm]{1,3}$/.test(permissions)) return { source, target, access: permissions }
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `Cannot pass device "${source}": its permissions "${permissions}" are none`,
    { hint: 'Write some of the letters r, w and m (mknod), such as "rw"' },
  )
}

/** Kernel: admin-guide/cgroup-v1/devices.rst. */
function parseRule(text: string): DeviceRule {
  const [, type, major = '*', minor = '*', access] =
    /^([abc]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text) ?? []
  if (type === undefined || access === undefined) {
    throw new TsstackError('INVALID_ARGUMENT', `Cannot use device rule "${text}": it is none`, {
      hint: 'Write type, numbers and access: "c 1:3 mr"',
    })
  }
  return {
    allow: true,
    type: type as DeviceRule['type'],
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  }
}
