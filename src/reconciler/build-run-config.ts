/** RUN of a build -> ContainerConfig: what a service without any options has. */
import type { RunStep, StepMount } from '../builder/build-input.ts'
import type { ContainerConfig, ContainerMount, NetworkMode } from '../engine/container-config.ts'
import { parseSignal } from '../engine/signals.ts'

const DEFAULT_SHM_BYTES = 64 * 1024 * 1024
const SHORT_ID = 12

function mountOf(mount: StepMount): ContainerMount[] {
  const { target } = mount
  const bind = { recursive: false, propagation: 'private', createSource: false } as const
  switch (mount.kind) {
    case 'secret':
      return []
    case 'tmpfs': {
      const size = mount.sizeBytes
      const options: Readonly<Record<string, string>> =
        size === undefined ? {} : { size: String(size) }
      return [{ kind: 'tmpfs', target, options, readOnly: false, noExec: false }]
    }
    case 'layers':
      return [{ kind: 'bind', target, source: '', readOnly: mount.readOnly, ...bind }]
    case 'socket':
      return [{ kind: 'bind', target, source: mount.source, readOnly: false, ...bind }]
    case 'directory':
      return [{ kind: 'bind', target, source: mount.source, readOnly: mount.readOnly, ...bind }]
  }
}

function networkOf(network: string): Pick<ContainerConfig, 'networkMode' | 'endpoints'> {
  if (network === 'host' || network === 'none') {
    const networkMode: NetworkMode = { kind: network }
    return { networkMode, endpoints: [] }
  }
  const endpoint = { network, aliases: [], priority: 0, gatewayPriority: 0 }
  return { networkMode: { kind: 'endpoints' }, endpoints: [endpoint] }
}

export function stepConfig(
  step: RunStep,
  { id, network }: { readonly id: string; readonly network: string },
): ContainerConfig {
  const { options, isInsecure } = step
  const none = { kind: 'private' } as const
  return {
    ...{ name: `build-${id.slice(0, SHORT_ID)}`, stack: 'build', service: 'run', number: 1 },
    oneoff: true,
    image: { reference: '', id: '' },
    argv: step.argv,
    environment: step.environment,
    workingDir: step.workingDir,
    ...(step.user === undefined || step.user === '' ? {} : { user: step.user }),
    additionalGroups: [],
    hostname: step.hostname,
    ...{ tty: false, stdinOpen: false, readOnlyRoot: false, init: false },
    mounts: step.mounts.flatMap(mountOf),
    files: [],
    shmBytes: options.shmBytes ?? DEFAULT_SHM_BYTES,
    privileged: isInsecure,
    ...{ capAdd: [], capDrop: [], noNewPrivileges: false },
    seccomp: isInsecure ? 'unconfined' : 'default',
    systemPaths: isInsecure ? 'unconfined' : 'protected',
    ...{ devices: [], deviceRules: [] },
    ulimits: options.ulimits,
    sysctls: {},
    userNamespace: !isInsecure,
    ...networkOf(network),
    ...{ ipc: none, pid: none, uts: none, cgroupNamespace: 'private' },
    extraHosts: options.extraHosts,
    ...{ dns: [], dnsSearch: [], dnsOptions: [], links: {} },
    stopSignal: parseSignal('SIGKILL'),
    stopGraceMs: 0,
    ...{ ports: [], resources: {}, restart: { condition: 'no' }, labels: {}, annotations: {} },
    hooks: { preStart: [], postStart: [], preStop: [] },
    logging: { maxBytes: 0, maxFiles: 1 },
  }
}
