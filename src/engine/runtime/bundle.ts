/** What an external runtime is told: `config.json` of an OCI bundle (runtime specification 1.0.2, config.md). */
import { CAPABILITIES } from '../capabilities.ts'
import type { ProcessSpec } from '../process-spec.ts'
import type { SeccompProfile } from '../seccomp/profile.ts'
import type { StartRequest } from '../start-container.ts'
import { ociSeccomp } from './oci-seccomp.ts'

const VERSION = '1.0.2'
const SAFE = ['nosuid', 'noexec', 'nodev']

export interface BundleContent {
  /** Absolute, where the runtime sees it. */
  readonly rootPath: string
  readonly readOnlyRoot: boolean
  readonly privileged: boolean
  /** Beside those of processes and mounts; the others are made, or shared, before the runtime starts. */
  readonly namespaces: readonly 'cgroup'[]
  readonly annotations: Readonly<Record<string, string>>
  readonly process: ProcessSpec
  /** Absent: unconfined. */
  readonly seccomp?: SeccompProfile
  readonly request: Pick<StartRequest, 'maskedPaths' | 'readOnlyPaths'>
}

/**
 * The runtime makes the namespaces of processes, mounts and control groups, and mounts what shows them. It starts in the container's other
 * namespaces and control groups, and with its mounts in place, so they are not in the text.
 */
export function bundleConfig({ process, ...content }: BundleContent): string {
  const { uid, gid, groups } = process.user
  const capabilities = process.capabilities.flatMap((number) => CAPABILITIES[number] ?? [])
  return JSON.stringify({
    ociVersion: VERSION,
    root: { path: content.rootPath, readonly: content.readOnlyRoot },
    annotations: content.annotations,
    process: {
      terminal: false,
      user: { uid, gid, additionalGids: groups, umask: 0o022 },
      args: process.argv,
      env: Object.entries(process.environment).map(([name, value]) => `${name}=${value}`),
      cwd: process.workingDir,
      noNewPrivileges: process.noNewPrivileges,
      capabilities: {
        bounding: capabilities,
        ...(uid === 0 ? { effective: capabilities, permitted: capabilities } : {}),
      },
    },
    mounts: kernelFileSystems(content.privileged),
    linux: {
      namespaces: ['pid', 'mount', ...content.namespaces].map((type) => ({ type })),
      maskedPaths: content.request.maskedPaths,
      readonlyPaths: content.request.readOnlyPaths,
      ...(content.seccomp === undefined
        ? {}
        : { seccomp: ociSeccomp(content.seccomp, process.capabilities) }),
    },
  })
}

function kernelFileSystems(privileged: boolean): readonly object[] {
  const flags = privileged ? SAFE : [...SAFE, 'ro']
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: SAFE },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: flags },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: SAFE },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: flags },
  ]
}
