/**
 * ContainerConfig: everything that the engine needs to run one container, resolved: numbers instead of texts, image
 * defaults applied, no reference to a stack file. JSON-serialisable, because the daemon keeps it to start the container
 * again. Values that the kernel can change on a running container are in `resources` and in the few fields marked so.
 */
import type { DeviceRule, ResourceLimits } from './cgroup/resource-limits.ts'

/** How mounts and unmounts below it pass between host and container (man 7 mount_namespaces). */
export type Propagation = 'private' | 'slave' | 'shared'

/** `folder`: whoever owns the mounted directory or file. */
export type BindOwner = 'folder' | { readonly uid: number; readonly gid: number }

/** What is mounted at `target`, an absolute path in the container. */
export type ContainerMount = { readonly target: string } & (
  | {
      readonly kind: 'bind'
      readonly source: string
      readonly readOnly: boolean
      readonly recursive: boolean
      readonly propagation: Propagation
      /** false: what is mounted below it stays writable though it is read-only itself. */
      readonly readOnlyBelow?: boolean
      /** Make the source a directory when it is missing. */
      readonly createSource: boolean
      /** Who on the disk is the container's root; absent: the same ids as in the container. */
      readonly owner?: BindOwner
    }
  | {
      readonly kind: 'volume'
      /** Name of the volume in the volume store. */
      readonly volume: string
      readonly subpath?: string
      readonly readOnly: boolean
      /** Do not seed an empty volume with what the image has at the target. */
      readonly noCopy: boolean
    }
  | {
      /** The files of another image. */
      readonly kind: 'image'
      readonly image: { readonly reference: string; readonly id: string }
      readonly subpath?: string
      readonly readOnly: true
    }
  | {
      readonly kind: 'tmpfs'
      readonly options: Readonly<Record<string, string>>
      readonly readOnly: boolean
      readonly noExec: boolean
      /** false: programs in it may have the rights of their owner. */
      readonly noSuid?: boolean
      /** false: devices in it can be opened. */
      readonly noDev?: boolean
    }
)

/** A config or secret: a file on a tmpfs of the container's own. */
export interface ContainerFile {
  readonly target: string
  /** sha256 of the content, by which the daemon keeps it. */
  readonly digest: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface HealthCheck {
  readonly test:
    | { readonly kind: 'exec'; readonly command: readonly string[] }
    | {
        readonly kind: 'http'
        readonly port: number
        readonly path: string
        readonly host?: string
      }
    | { readonly kind: 'tcp'; readonly port: number }
    | { readonly kind: 'unix'; readonly path: string }
    | { readonly kind: 'file'; readonly path: string }
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly retries: number
  readonly startPeriodMs: number
  readonly startIntervalMs: number
}

export interface RestartPolicy {
  readonly condition: 'no' | 'always' | 'on-failure' | 'unless-stopped'
  /** After how many restarts that did not last it is given up; absent: no limit. */
  readonly maxRetries?: number
  /** Before each restart; absent: a pause that grows. */
  readonly delayMs?: number
  /** A run of this length counts as a success, after which retries and pauses begin anew. */
  readonly windowMs?: number
  /** A container that has become unhealthy is stopped and started again, whatever the condition. */
  readonly onUnhealthy?: true
}

export type NetworkMode =
  | { readonly kind: 'endpoints' }
  | { readonly kind: 'host' }
  | { readonly kind: 'none' }
  /** Shares another container's. */
  | { readonly kind: 'container'; readonly container: string }

/** A namespace that is the container's own, the host's, or another container's. */
export type NamespaceMode =
  | { readonly kind: 'private' }
  | { readonly kind: 'host' }
  | { readonly kind: 'container'; readonly container: string }

export interface Endpoint {
  /** Name of the network in the network store. */
  readonly network: string
  readonly aliases: readonly string[]
  readonly interfaceName?: string
  readonly ipv4?: string
  readonly ipv6?: string
  readonly mac?: string
  /** More addresses, of the link only. */
  readonly linkLocal?: readonly string[]
  readonly priority: number
  readonly gatewayPriority: number
}

export interface PortMapping {
  readonly hostIp?: string
  /** First and last port of the range of which one is taken; absent: any. */
  readonly published?: { readonly from: number; readonly to: number }
  readonly target: number
  readonly protocol: string
}

/** A device of the host, or a directory of them, as `devices` names it. */
export interface DeviceMapping {
  readonly source: string
  readonly target: string
  /** Some of `r`, `w`, `m` (mknod). */
  readonly access: string
}

/** A command of a container's life (Compose: post_start, pre_stop, pre_start). */
export interface Hook {
  /** Of pre_start it may be empty: the image's. */
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly user?: string
  readonly privileged?: boolean
  readonly workingDir?: string
  /** pre_start only: default is the container's own. */
  readonly image?: string
  /** pre_start only. */
  readonly perReplica: boolean
}

export interface ContainerConfig {
  readonly name: string
  readonly stack: string
  readonly service: string
  readonly number: number
  readonly oneoff: boolean
  readonly image: { readonly reference: string; readonly id: string }
  /** Entrypoint and command; the first word is looked up in PATH. Never empty. */
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly workingDir: string
  /** `uid[:gid]` or names of the container's /etc/passwd and /etc/group. */
  readonly user?: string
  readonly additionalGroups: readonly string[]
  readonly hostname: string
  readonly domainname?: string
  readonly tty: boolean
  readonly stdinOpen: boolean
  readonly readOnlyRoot: boolean
  /** How much it may write outside of its mounts; absent: as much as the disk holds. */
  readonly storageBytes?: number
  /** An external OCI runtime that starts it; absent: the engine itself. */
  readonly runtime?: string
  /** A first process that reaps orphans and passes signals on. */
  readonly init: boolean
  readonly mounts: readonly ContainerMount[]
  readonly files: readonly ContainerFile[]
  readonly shmBytes: number
  /** Whether others that join its IPC namespace have its /dev/shm, too, or it has none; absent: one that it has alone. */
  readonly sharedMemory?: 'shareable' | 'none'
  readonly privileged: boolean
  readonly capAdd: readonly string[]
  readonly capDrop: readonly string[]
  readonly noNewPrivileges: boolean
  /** `default`, `unconfined`, or a profile as JSON text. */
  readonly seccomp: string
  /** `unconfined`: nothing of /proc and /sys is masked or read-only. */
  readonly systemPaths: 'protected' | 'unconfined'
  readonly devices: readonly DeviceMapping[]
  /** More that may be opened, beside the devices that it is given. */
  readonly deviceRules: readonly DeviceRule[]
  readonly ulimits: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>
  readonly sysctls: Readonly<Record<string, string>>
  readonly oomScoreAdj?: number
  /** false: `userns_mode: host`. */
  readonly userNamespace: boolean
  readonly networkMode: NetworkMode
  readonly ipc: NamespaceMode
  readonly pid: NamespaceMode
  readonly uts: NamespaceMode
  /** `host`: it sees the host's control groups. */
  readonly cgroupNamespace: 'private' | 'host'
  readonly extraHosts: readonly string[]
  readonly dns: readonly string[]
  readonly dnsSearch: readonly string[]
  readonly dnsOptions: readonly string[]
  /** Names that this container alone uses, with the service or container that each stands for. */
  readonly links: Readonly<Record<string, string>>
  readonly stopSignal: number
  readonly stopGraceMs: number
  // From here on: can be changed in place.
  readonly endpoints: readonly Endpoint[]
  readonly ports: readonly PortMapping[]
  readonly resources: ResourceLimits
  readonly restart: RestartPolicy
  readonly health?: HealthCheck
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly hooks: {
    /** In containers of their own, before the first start. */
    readonly preStart: readonly Hook[]
    readonly postStart: readonly Hook[]
    readonly preStop: readonly Hook[]
  }
  readonly logging: { readonly maxBytes: number; readonly maxFiles: number }
}
