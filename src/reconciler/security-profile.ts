import { resolveCapabilities } from '../engine/capabilities.ts'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { ProcessSpec } from '../engine/process-spec.ts'
import { DEFAULT_SECCOMP_PROFILE } from '../engine/seccomp/default-profile.ts'
import type { SeccompProfile } from '../engine/seccomp/profile.ts'
import { parseSeccompProfile } from '../engine/seccomp/parse-profile.ts'
import { buildSeccompFilter } from '../engine/seccomp/seccomp.ts'

/** The filter of a container's system calls, before it is compiled; undefined: unconfined. */
export function seccompProfile({
  seccomp,
}: Pick<ContainerConfig, 'seccomp'>): SeccompProfile | undefined {
  if (seccomp === 'unconfined') return undefined
  return seccomp === 'default' ? DEFAULT_SECCOMP_PROFILE : parseSeccompProfile(seccomp)
}

/** What a process of the container may do. */
export function securityProfile(
  config: Pick<
    ContainerConfig,
    'capAdd' | 'capDrop' | 'privileged' | 'noNewPrivileges' | 'seccomp'
  >,
): Pick<ProcessSpec, 'capabilities' | 'noNewPrivileges' | 'seccomp'> {
  const capabilities = resolveCapabilities({
    add: config.capAdd,
    drop: config.capDrop,
    privileged: config.privileged,
  })
  const profile = seccompProfile(config)
  return {
    capabilities,
    noNewPrivileges: config.noNewPrivileges,
    ...(profile === undefined ? {} : { seccomp: buildSeccompFilter(profile, capabilities) }),
  }
}
