/**
 * The Stack: the canonical model of a stack file, with the field names and the value forms that
 * `docker compose config` prints (long syntaxes, durations as Go strings, byte sizes as decimal strings,
 * absolute paths, environment a map, env_file and label_file already read). Readonly and JSON-serialisable:
 * it is what `spec` hands to everybody else.
 */

export type Scalar = string | number | boolean | null
export type Extensions = Readonly<Record<`x-${string}`, unknown>>
type Dictionary<T> = Readonly<Record<string, T>>

export interface Stack extends Extensions {
  readonly name: string
  readonly services: Dictionary<Service>
  readonly networks: Dictionary<NetworkDefinition>
  readonly volumes: Dictionary<VolumeDefinition>
  readonly configs: Dictionary<FileDefinition>
  readonly secrets: Dictionary<FileDefinition>
}

export type DependencyCondition =
  'service_started' | 'service_healthy' | 'service_completed_successfully'

export interface Dependency {
  readonly condition: DependencyCondition
  readonly required: boolean
  readonly restart?: boolean
}

export interface Healthcheck extends Extensions {
  /** `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`. */
  readonly test?: readonly string[]
  readonly interval?: string
  readonly timeout?: string
  readonly retries?: number
  readonly start_period?: string
  readonly start_interval?: string
  readonly disable?: boolean
}

export interface Port extends Extensions {
  readonly mode?: string
  readonly target: number
  /** A port, or a range `8000-8010` of which any one free port is taken; absent: any free port. */
  readonly published?: string
  readonly protocol: string
  readonly host_ip?: string
  readonly name?: string
  readonly app_protocol?: string
}

export interface ServiceVolume extends Extensions {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'image' | 'npipe' | 'cluster'
  readonly source?: string
  readonly target: string
  readonly read_only?: boolean
  readonly consistency?: string
  readonly bind?: {
    readonly propagation?: string
    readonly create_host_path?: boolean
    readonly recursive?: string
    readonly selinux?: string
  }
  readonly volume?: {
    readonly nocopy?: boolean
    readonly subpath?: string
    readonly labels?: Dictionary<string>
  }
  readonly tmpfs?: { readonly size?: string; readonly mode?: number }
  readonly image?: { readonly subpath?: string }
}

/** A config or secret as a service mounts it. */
export interface FileReference extends Extensions {
  readonly source: string
  readonly target?: string
  readonly uid?: string
  readonly gid?: string
  /** Permission bits in octal text, as the canonical model has them: `"0440"`. */
  readonly mode?: string
}

export interface NetworkAttachment extends Extensions {
  readonly aliases?: readonly string[]
  readonly interface_name?: string
  readonly ipv4_address?: string
  readonly ipv6_address?: string
  readonly link_local_ips?: readonly string[]
  readonly mac_address?: string
  readonly driver_opts?: Dictionary<string>
  readonly priority?: number
  readonly gw_priority?: number
}

/** Devices by what they can do, or by their names at their driver. */
export interface DeviceRequest {
  readonly capabilities?: readonly string[]
  /** -1: all. */
  readonly count?: number | string
  readonly device_ids?: readonly string[]
  readonly driver?: string
}

export interface Resources {
  readonly cpus?: number | string
  readonly memory?: string
  readonly pids?: number
  readonly devices?: readonly DeviceRequest[]
  readonly generic_resources?: readonly unknown[]
}

export interface UpdateConfig {
  readonly parallelism?: number
  readonly delay?: string
  readonly failure_action?: string
  readonly monitor?: string
  readonly max_failure_ratio?: number
  readonly order?: string
}

export interface Deploy extends Extensions {
  readonly mode?: string
  readonly replicas?: number
  readonly labels?: Dictionary<string>
  readonly endpoint_mode?: string
  readonly placement?: unknown
  readonly resources?: { readonly limits?: Resources; readonly reservations?: Resources }
  readonly restart_policy?: {
    readonly condition?: string
    readonly delay?: string
    readonly max_attempts?: number
    readonly window?: string
  }
  readonly update_config?: UpdateConfig
  readonly rollback_config?: UpdateConfig
}

export interface Hook {
  readonly command: readonly string[]
  readonly user?: string
  readonly privileged?: boolean
  readonly working_dir?: string
  readonly environment?: Dictionary<string | null>
}

/** In a container of its own. */
export interface PreStartHook extends Omit<Hook, 'command'> {
  /** Absent: the image's. */
  readonly command?: readonly string[]
  /** Absent: the service's. */
  readonly image?: string
  readonly per_replica?: boolean
}

/** What `watch` does when files change. */
export interface WatchTrigger extends Extensions {
  /** Absolute; symlinks followed. */
  readonly path: string
  readonly action: 'sync' | 'rebuild' | 'restart' | 'sync+restart' | 'sync+exec'
  /** Absolute path in the container; of the sync kinds. */
  readonly target?: string
  readonly exec?: Hook
  /** Patterns as in .dockerignore, relative to `path`. */
  readonly ignore?: readonly string[]
  readonly include?: readonly string[]
  readonly initial_sync?: boolean
}

export interface BlkioRate {
  readonly path: string
  readonly rate: number | string
}

export interface BlkioConfig {
  readonly weight?: number
  readonly weight_device?: readonly { readonly path: string; readonly weight: number }[]
  readonly device_read_bps?: readonly BlkioRate[]
  readonly device_write_bps?: readonly BlkioRate[]
  readonly device_read_iops?: readonly BlkioRate[]
  readonly device_write_iops?: readonly BlkioRate[]
}

/** tsstack's own additions to a service: probes that need no process in the container. Exactly one kind. */
export interface Probe {
  /** `http://:PORT/path` (host is the container) or an object; success is a status 200-399. */
  readonly http?: string
  /** A TCP port of the container that must accept a connection. */
  readonly tcp?: number
  /** A unix socket path inside the container that must accept a connection. */
  readonly unix?: string
  /** A path inside the container that must exist. */
  readonly file?: string
}

/** When a service runs, instead of all the time: each run is a container of its own. */
export interface Schedule {
  readonly cron: string
  readonly time_zone?: string
  /** What becomes of a run whose time comes while the one before goes on. Default: forbid. */
  readonly concurrency?: 'allow' | 'forbid' | 'replace'
  /** What becomes of runs whose time came while there was no daemon: `run` makes one up for all of them. Default: skip. */
  readonly missed?: 'run' | 'skip'
  /** How many runs that have ended are kept, with their containers and logs. Default: 5. */
  readonly history?: number
}

/** What each replica of a service has of its own. In texts `{{.Replica}}` is its number, from 1. */
export interface ReplicaIdentity {
  readonly hostname?: string
  readonly environment?: Dictionary<string | number>
  /** Keys of the stack's volumes: replica 2 has `NAME-2` instead. */
  readonly volumes?: readonly string[]
}

/** Which image a service is to have as its repository gets new tags: exactly one order, or `digest` alone. */
export interface ImagePolicy {
  /** The highest version within this range, such as `^1.4`. */
  readonly semver?: string
  /** `asc`: the last tag by name counts as the newest; `desc`: the first. */
  readonly alphabetical?: 'asc' | 'desc'
  /** As `alphabetical`, by number. */
  readonly numerical?: 'asc' | 'desc'
  /** RE2: only tags that match count. */
  readonly pattern?: string
  /** What is compared instead of the tag: `$name` and `${name}` are groups of the pattern. */
  readonly extract?: string
  /** The digest is written, too, and follows the tag. */
  readonly digest?: boolean
}

export interface ServiceExtension {
  readonly image_policy?: ImagePolicy
  /** Who on the disk is the container's root in bind mounts: `folder` (its owner), `UID` or `UID:GID`. */
  readonly owner?: string
  readonly probe?: Probe
  readonly replica?: ReplicaIdentity
  /** `unhealthy`: a container whose health check fails is restarted, too. Default: `exit`. */
  readonly restart_on?: 'exit' | 'unhealthy'
  /** For how long connections of a replaced container may go on before it is asked to stop. */
  readonly drain?: string
  readonly schedule?: Schedule
}

/** `build`, with its paths absolute and its defaults filled in. */
export interface BuildDefinition extends Extensions {
  readonly additional_contexts?: Dictionary<string>
  readonly args?: Dictionary<string>
  readonly cache_from?: readonly string[]
  readonly cache_to?: readonly string[]
  readonly context?: string
  readonly dockerfile?: string
  readonly dockerfile_inline?: string
  readonly entitlements?: readonly string[]
  readonly extra_hosts?: readonly string[]
  readonly isolation?: string
  readonly labels?: Dictionary<string>
  readonly network?: string
  readonly no_cache?: boolean
  readonly no_cache_filter?: readonly string[]
  readonly platforms?: readonly string[]
  readonly privileged?: boolean
  readonly provenance?: string | boolean
  readonly pull?: boolean
  readonly sbom?: string | boolean
  readonly secrets?: readonly FileReference[]
  readonly shm_size?: string
  /** `default`, or `ID: PATH`. */
  readonly ssh?: readonly string[]
  readonly tags?: readonly string[]
  readonly target?: string
  readonly ulimits?: Dictionary<number | { readonly soft: number; readonly hard: number }>
}

export interface Service extends Extensions {
  readonly annotations?: Dictionary<string>
  readonly attach?: boolean
  readonly blkio_config?: BlkioConfig
  readonly build?: BuildDefinition
  readonly cap_add?: readonly string[]
  readonly cap_drop?: readonly string[]
  readonly cgroup?: string
  readonly cgroup_parent?: string
  /** null or absent: the image's; an empty list: explicitly none. */
  readonly command?: readonly string[] | null
  readonly configs?: readonly FileReference[]
  readonly container_name?: string
  readonly cpu_count?: number
  readonly cpu_percent?: number
  readonly cpu_period?: number | string
  readonly cpu_quota?: number | string
  readonly cpu_rt_period?: string
  readonly cpu_rt_runtime?: string
  readonly cpu_shares?: number
  readonly cpus?: number
  readonly cpuset?: string
  readonly credential_spec?: unknown
  readonly depends_on?: Dictionary<Dependency>
  readonly deploy?: Deploy
  readonly develop?: { readonly watch?: readonly WatchTrigger[] } & Extensions
  readonly device_cgroup_rules?: readonly string[]
  readonly devices?: readonly {
    readonly source: string
    readonly target?: string
    readonly permissions?: string
  }[]
  readonly dns?: readonly string[]
  readonly dns_opt?: readonly string[]
  readonly dns_search?: readonly string[]
  readonly domainname?: string
  readonly entrypoint?: readonly string[] | null
  /** A null value removes the variable, the image's own included. */
  readonly environment?: Dictionary<string | null>
  readonly expose?: readonly string[]
  readonly external_links?: readonly string[]
  /** `host=ip`, sorted. */
  readonly extra_hosts?: readonly string[]
  readonly gpus?: readonly DeviceRequest[]
  readonly group_add?: readonly string[]
  readonly healthcheck?: Healthcheck
  readonly hostname?: string
  readonly image?: string
  readonly init?: boolean
  readonly ipc?: string
  readonly isolation?: string
  readonly labels?: Dictionary<string>
  readonly links?: readonly string[]
  readonly logging?: { readonly driver?: string; readonly options?: Dictionary<string | null> }
  readonly mac_address?: string
  readonly mem_limit?: string
  readonly mem_reservation?: string
  readonly mem_swappiness?: string | number
  readonly memswap_limit?: string
  readonly models?: Dictionary<unknown>
  readonly network_mode?: string
  readonly networks?: Dictionary<NetworkAttachment | null>
  readonly oom_kill_disable?: boolean
  readonly oom_score_adj?: number
  readonly pid?: string
  readonly pids_limit?: number
  readonly platform?: string
  readonly ports?: readonly Port[]
  readonly post_start?: readonly Hook[]
  readonly pre_start?: readonly PreStartHook[]
  readonly pre_stop?: readonly Hook[]
  readonly privileged?: boolean
  readonly profiles?: readonly string[]
  readonly provider?: unknown
  readonly pull_policy?: string
  readonly read_only?: boolean
  readonly restart?: string
  readonly runtime?: string
  readonly scale?: number
  readonly secrets?: readonly FileReference[]
  readonly security_opt?: readonly string[]
  readonly shm_size?: string
  readonly stdin_open?: boolean
  readonly stop_grace_period?: string
  readonly stop_signal?: string
  readonly storage_opt?: Dictionary<string>
  readonly sysctls?: Dictionary<string>
  /** `path[:options]`, options as of mount(8). */
  readonly tmpfs?: readonly string[]
  readonly tty?: boolean
  readonly ulimits?: Dictionary<number | { readonly soft: number; readonly hard: number }>
  readonly use_api_socket?: boolean
  readonly user?: string
  readonly userns_mode?: string
  readonly uts?: string
  readonly volumes?: readonly ServiceVolume[]
  readonly volumes_from?: readonly string[]
  readonly working_dir?: string
  readonly 'x-tsstack'?: ServiceExtension
}

export interface NetworkDefinition extends Extensions {
  readonly name: string
  readonly driver?: string
  readonly driver_opts?: Dictionary<string>
  readonly ipam?: {
    readonly driver?: string
    readonly config?: readonly {
      readonly subnet?: string
      readonly ip_range?: string
      readonly gateway?: string
      readonly aux_addresses?: Dictionary<string>
    }[]
    readonly options?: Dictionary<string>
  }
  readonly external?: boolean
  readonly internal?: boolean
  readonly attachable?: boolean
  readonly enable_ipv4?: boolean
  readonly enable_ipv6?: boolean
  readonly labels?: Dictionary<string>
}

export interface VolumeDefinition extends Extensions {
  readonly name: string
  readonly driver?: string
  readonly driver_opts?: Dictionary<string>
  readonly external?: boolean
  readonly labels?: Dictionary<string>
}

/** A top-level config or secret. Exactly one of file, environment, content, external. */
export interface FileDefinition extends Extensions {
  readonly name: string
  readonly file?: string
  readonly environment?: string
  readonly content?: string
  readonly external?: boolean
  readonly labels?: Dictionary<string>
}
