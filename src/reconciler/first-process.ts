/** What a container's configuration says of its first process, for whoever starts it: a service, a step of a build. */
import type { ContainerConfig } from '../engine/container-config.ts'
import type { ContainerUser } from '../engine/container-user.ts'
import type { ProcessSpec } from '../engine/process-spec.ts'
import { rlimitsOf } from '../engine/rlimits.ts'
import type { Context } from './context.ts'
import { securityProfile } from './security-profile.ts'

export function firstProcess(
  config: ContainerConfig,
  user: ContainerUser,
  stdio: ProcessSpec['stdio'],
): ProcessSpec {
  return {
    argv: config.argv,
    environment: { HOME: user.home, ...config.environment },
    workingDir: config.workingDir,
    user,
    ...securityProfile(config),
    rlimits: rlimitsOf(config.ulimits),
    stdio,
    tty: config.tty,
  }
}

/** What programs look at to learn their limits. */
const CGROUP_V1_VIEW = ['memory', 'cpu', 'cpuacct', 'cpuset', 'pids', 'blkio']

/** The hierarchies that a container sees of its control group. */
export function cgroupHierarchiesOf({ cgroups }: Pick<Context, 'cgroups'>): readonly string[] {
  return cgroups.version === 2 ? ['unified'] : CGROUP_V1_VIEW
}

/** Names of the container's own UTS namespace. */
export function identityOf(config: ContainerConfig): { hostname?: string; domainname?: string } {
  if (config.uts.kind !== 'private') return {}
  return {
    hostname: config.hostname,
    ...(config.domainname === undefined ? {} : { domainname: config.domainname }),
  }
}
