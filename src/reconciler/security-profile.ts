import { resolveCapabilities } from '../engine/capabilities.ts'
import type { ContainerConfig } from '../engine/container-config.ts'
import type { ProcessSpec } from '../engine/process-spec.ts'
import { DEFAULT_SECCOMP_PROFILE } from '../engine/seccomp/default-profile.ts'
import { parseSeccompProfile } from '../engine/seccomp/parse-profile.ts'
import { buildSeccompFilter } from '../engine/seccomp/seccomp.ts'

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
  if (config.seccomp === 'unconfined')
    return { capabilities, noNewPrivileges: config.noNewPrivileges }
  const profile =
    config.seccomp === 'default' ? DEFAULT_SECCOMP_PROFILE : parseSeccompProfile(config.seccomp)
  return {
    capabilities,
    noNewPrivileges: config.noNewPrivileges,
    seccomp: buildSeccompFilter(profile, capabilities),
  }
}
