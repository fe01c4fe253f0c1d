/**
 * The wire: every body that crosses the daemon's socket. HTTP/1.1 on a unix socket, JSON bodies; streams are
 * newline-delimited JSON (`application/x-ndjson`), one object a line. Errors are `ErrorBody` with the status of their
 * code; in a stream an error is its last line, `{ "type": "error", "error": ErrorBody }`.
 *
 *   GET    /v1/version                          Version
 *   GET    /v1/doctor                           DoctorCheck[]
 *   GET    /v1/stacks                           StackSummary[]
 *   POST   /v1/stacks/:stack/plan               UpRequest -> PlanResponse
 *   POST   /v1/stacks/:stack/up                 UpRequest -> stream of ProgressEvent
 *   POST   /v1/stacks/:stack/down               DownRequest -> stream of ProgressEvent
 *   POST   /v1/stacks/:stack/lifecycle          LifecycleRequest -> stream of ProgressEvent
 *   GET    /v1/stacks/:stack/logs?LogsQuery     stream of LogLine
 *   POST   /v1/stacks/:stack/pull               PullRequest -> stream of ProgressEvent   (image-types.ts, as all of images)
 *   POST   /v1/stacks/:stack/push               PushRequest -> stream of ProgressEvent
 *   …      /v1/stacks/:stack/revisions, …/rollback   see revision-types.ts
 *   …      /v1/stacks/:stack/status, …/suspend, …/resume   see status-types.ts
 *   POST   /v1/stacks/:stack/run                RunRequest -> { id } (a created, not started one-off container)
 *   POST   /v1/stacks/:stack/watch, /sync       see watch-types.ts
 *   POST   /v1/stacks/:stack/build              BuildRequest -> stream of ProgressEvent   (build-types.ts)
 *   GET    /v1/containers?stack=&all=           ContainerSummary[]
 *   GET    /v1/containers/:id                   ContainerDetail   (:id is an id, a unique prefix of it, or a name)
 *   DELETE /v1/containers/:id?force=            204
 *   POST   /v1/containers/:id/start             204
 *   POST   /v1/containers/:id/wait              { exitCode }   (answers when it has exited)
 *   POST   /v1/containers/:id/kill?signal=      204
 *   POST   /v1/containers/:id/resize            Resize -> 204
 *   GET    /v1/containers/:id/top               TopResponse
 *   POST   /v1/containers/:id/exec              ExecRequest in the header below -> 101, frames (see frames.ts)
 *   POST   /v1/containers/:id/attach            101, frames
 *   GET    /v1/stats?stack=&stream=             stream of StatsSample (a round for all containers each second)
 *   GET    /v1/events?stack=&since=&follow=     stream of EngineEvent
 *   GET    /v1/images                           ImageSummary[]
 *   …      /v1/images/…  /v1/registries/…  /v1/system/…   see image-types.ts
 *   GET    /v1/volumes?stack=&sizes=            VolumeSummary[]
 *   POST   /v1/volumes                          VolumeRequest -> 204
 *   GET    /v1/volumes/:name                    VolumeDetail
 *   DELETE /v1/volumes/:name                    204
 *   POST   /v1/volumes/prune?all=               PruneResult   (all: those with a name, too)
 *   GET    /v1/volumes/:name/archive            a tar archive (application/x-tar)
 *   POST   /v1/volumes/:name/archive            a tar archive -> 204
 *   GET    /v1/stacks/:stack/jobs               JobSummary[]  (job-types.ts)
 *   GET    /v1/stacks/:stack/jobs/history?service= JobRun[], newest first
 *   POST   /v1/stacks/:stack/jobs/:service/run  JobRun
 *   GET    /v1/networks?stack=                  NetworkSummary[]
 *   POST   /v1/networks                         NetworkRequest -> 204
 *   GET    /v1/networks/:name                   NetworkDetail
 *   DELETE /v1/networks/:name                   204
 *   POST   /v1/networks/prune                   PruneResult
 *   …      /v1/gitops/…                         see gitops-types.ts
 *
 * exec and attach are HTTP upgrades (`Connection: Upgrade`, `Upgrade: tsstack`); exec's request is JSON, base64 in the
 * header `x-tsstack-exec`. After 101 both sides speak frames.
 */
import type { RequestManner } from './request-manner.ts'
import type { ErrorBody } from '../errors.ts'
import type { DownOptions, UpOptions } from '../planner/desired-state.ts'
import type { ContainerState, HealthState } from '../planner/observed-state.ts'
import type { Plan } from '../planner/plan.ts'
import type { StackContents } from '../spec/loaded-stack.ts'
import type { Stack } from '../spec/stack.ts'
import type { CredentialsByRegistry } from '../registry/credentials.ts'
import type { StackOrigin } from './revision-types.ts'
import type { ByHand } from './status-types.ts'

export interface Version {
  readonly version: string
  readonly apiVersion: string
  readonly node: string
  readonly kernel: string
  readonly arch: string
  readonly pid: number
  readonly stateDir: string
  /** When this daemon began, by which one that was renewed in place differs from the one before. */
  readonly startedAt: string
}

export interface DoctorCheck {
  readonly name: string
  readonly status: 'ok' | 'warning' | 'missing'
  readonly detail: string
  /** The exact command or setting that mends it. */
  readonly remedy?: string
}

export interface StackSummary {
  readonly name: string
  /** Compose's form: `running(3)`, `exited(1), running(2)`. */
  readonly status: string
  readonly configFiles: readonly string[]
}

export interface StackSource {
  readonly stack: Stack
  readonly files: readonly string[]
  readonly workingDir: string
  readonly contents: StackContents
  /** Services of the files that no active profile enables: their containers are left alone and are no orphans. */
  readonly disabledServices?: readonly string[]
  /** Where the files come from, when the caller knows more than their paths. */
  readonly origin?: StackOrigin
}

export interface UpRequest extends StackSource, RequestManner {
  readonly options: UpOptions & {
    /** Seconds of grace when containers are stopped; absent: each service's own. */
    readonly timeoutSeconds?: number
    /** Answer only when the services are running or healthy. */
    readonly wait?: boolean
    readonly waitTimeoutSeconds?: number
    /** Of images from registries, instead of the services' own `pull_policy`. */
    readonly pull?: 'always' | 'missing' | 'never'
    /** Images of services with a `build`; absent: those that are missing. */
    readonly build?: 'always' | 'never'
    /** For builds, by id: the socket of an ssh agent. */
    readonly ssh?: Readonly<Record<string, string>>
    /** Of the numbers of replicas in `scale`. */
    readonly byHand?: ByHand
  }
  /** For pulls; not kept. */
  readonly credentials?: CredentialsByRegistry
  /** Of a saved plan (PlanResponse): refuse when what is desired or observed is no longer that. */
  readonly base?: string
}

export interface PlanResponse {
  readonly plan: Plan
  /** Digest of what it was made from: see planner/base-state.ts. */
  readonly base: string
  /** What `formatPlan` prints, without colours. */
  readonly text: string
}

export interface DownRequest extends RequestManner {
  /** With the stack file at hand; without it the daemon's own record is used. */
  readonly source?: StackSource
  readonly options: DownOptions & { readonly timeoutSeconds?: number }
}

export type LifecycleAction = 'start' | 'stop' | 'restart' | 'kill' | 'pause' | 'unpause'

/** `forSeconds` and `reason`: of stop and kill. */
export interface LifecycleRequest extends RequestManner, ByHand {
  readonly action: LifecycleAction
  /** Absent or empty: all services. */
  readonly services?: readonly string[]
  /** For start and restart: exactly the named services. */
  readonly noDeps?: boolean
  readonly timeoutSeconds?: number
  /** For kill: `SIGKILL` when absent. */
  readonly signal?: string
  /** For start: answer only when the services are running or healthy. */
  readonly wait?: boolean
  readonly waitTimeoutSeconds?: number
}

/** One line of progress; `operation` events come in pairs with the same id. */
export type ProgressEvent =
  | { readonly type: 'plan'; readonly operations: number }
  | {
      readonly type: 'operation'
      readonly id: number
      readonly resource:
        | 'network'
        | 'volume'
        | 'image'
        | 'layer'
        | 'step'
        | 'container'
        | 'service'
        /** Of the command line's own: no daemon tells of it. */
        | 'artifact'
      readonly name: string
      /** What is being done, as a participle pair: `Creating`/`Created`, `Waiting`/`Healthy`. */
      readonly action: string
      readonly status: 'started' | 'progress' | 'done' | 'failed'
      readonly detail?: string
      /** Of a layer or a step of a build: its image. */
      readonly parent?: string
      /** Bytes of a transfer. */
      readonly current?: number
      readonly total?: number
      readonly elapsedMs?: number
    }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'error'; readonly error: ErrorBody }
  | {
      readonly type: 'done'
      readonly changed: boolean
      readonly containers: readonly ContainerSummary[]
    }

export interface LogsQuery {
  /** Comma list. */
  readonly services?: string
  /** Those of `run`, too. Default: of the services that are named. */
  readonly oneoff?: boolean
  readonly follow?: boolean
  /** With `follow`: no longer than until all of these containers have ended; LogEnd is the last line then. */
  readonly untilEnded?: boolean
  /** A number of lines from each container's end, or `all`. */
  readonly tail?: string
  /** RFC 3339 times or Go durations back from now. */
  readonly since?: string
  readonly until?: string
}

export interface LogEnd {
  readonly type: 'end'
  readonly time: string
  readonly container: ''
}

export interface LogLine {
  readonly type: 'log'
  readonly container: string
  readonly service: string
  readonly number: number
  readonly stream: 'stdout' | 'stderr'
  /** RFC 3339 with nanoseconds. */
  readonly time: string
  /** Without the newline. */
  readonly line: string
}

export interface RunRequest extends StackSource {
  readonly service: string
  readonly name?: string
  readonly command?: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly environment?: Readonly<Record<string, string | null>>
  readonly user?: string
  /** The container's working directory. */
  readonly workdir?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly publish?: readonly string[]
  readonly servicePorts?: boolean
  readonly useAliases?: boolean
  readonly noDeps?: boolean
  readonly tty: boolean
  readonly stdin: boolean
  /** Of the terminal, when the program starts. */
  readonly size?: Resize
  /** Remove it when it has exited. */
  readonly remove?: boolean
  readonly capAdd?: readonly string[]
  readonly capDrop?: readonly string[]
  /** Of its image, instead of the service's own `pull_policy`. */
  readonly pull?: 'always' | 'missing' | 'never'
  /** For pulls; not kept. */
  readonly credentials?: CredentialsByRegistry
}

export interface PublishedPort {
  readonly hostIp: string
  readonly published: number
  readonly target: number
  readonly protocol: string
}

export interface ContainerSummary {
  readonly id: string
  readonly name: string
  readonly stack: string
  readonly service: string
  readonly number: number
  readonly oneoff: boolean
  readonly image: string
  readonly imageId: string
  readonly command: string
  readonly state: ContainerState
  readonly health: HealthState
  readonly exitCode?: number
  /** `Up 3 minutes (healthy)`, `Exited (0) 2 seconds ago`. */
  readonly status: string
  /** RFC 3339. */
  readonly createdAt: string
  readonly startedAt?: string
  readonly finishedAt?: string
  readonly ports: readonly PublishedPort[]
  /** Of the host: names of volumes, and files and directories. */
  readonly mounts: readonly { readonly type: 'volume' | 'bind'; readonly source: string }[]
  readonly networks: Readonly<
    Record<
      string,
      {
        readonly ipv4?: string
        readonly ipv6?: string
        readonly mac: string
        readonly aliases: readonly string[]
      }
    >
  >
  readonly labels: Readonly<Record<string, string>>
  readonly pid?: number
  readonly restartCount: number
}

export interface ContainerDetail extends ContainerSummary {
  /** The engine's own configuration of it; secret contents left out. */
  readonly config: Readonly<Record<string, unknown>>
  readonly healthLog: readonly {
    readonly time: string
    readonly exitCode: number
    readonly output: string
  }[]
  readonly oomKilled: boolean
  readonly error?: string
}

export interface Resize {
  readonly columns: number
  readonly rows: number
}

export interface TopResponse {
  readonly titles: readonly string[]
  readonly processes: readonly (readonly string[])[]
}

export interface ExecRequest {
  readonly command: readonly string[]
  readonly tty: boolean
  readonly stdin: boolean
  readonly detach?: boolean
  readonly user?: string
  readonly workingDir?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly privileged?: boolean
  readonly size?: Resize
}

export interface StatsSample {
  readonly id: string
  readonly name: string
  readonly service: string
  /** Percent of one CPU; 200 is two whole CPUs. */
  readonly cpuPercent: number
  readonly cpuTotalNanos: number
  /** Working set: usage without inactive page cache. */
  readonly memoryBytes: number
  readonly memoryLimitBytes: number
  readonly networkReceivedBytes: number
  readonly networkSentBytes: number
  readonly blockReadBytes: number
  readonly blockWrittenBytes: number
  readonly pids: number
  /** How long tasks have waited for a resource since the start, in microseconds; where the kernel accounts it. */
  readonly pressure?: Readonly<
    Record<'cpu' | 'memory' | 'io', { readonly someMicros: number; readonly fullMicros: number }>
  >
}

export interface EngineEvent {
  readonly type: 'container' | 'network' | 'volume' | 'image' | 'stack' | 'daemon'
  /** Docker's words: create start die oom kill stop destroy `health_status: healthy` exec_create exec_die connect … */
  readonly action: string
  readonly stack: string
  readonly service?: string
  readonly id: string
  /** RFC 3339 with nanoseconds. */
  readonly time: string
  readonly attributes: Readonly<Record<string, string>>
}

export interface ImageSummary {
  readonly id: string
  readonly reference: string
  readonly layers: number
  readonly sizeBytes: number
  readonly createdAt: string
}

export interface VolumeSummary {
  readonly name: string
  readonly stack?: string
  readonly driver: string
  readonly mountpoint: string
  readonly createdAt: string
  readonly labels: Readonly<Record<string, string>>
  /** On the disk; only where it was asked for, and not for what lies elsewhere (nfs, cifs, bind). */
  readonly sizeBytes?: number
}

export interface VolumeDetail extends VolumeSummary {
  readonly options: Readonly<Record<string, string>>
  /** Names of the containers that mount it, running or not. */
  readonly containers: readonly string[]
}

export interface VolumeRequest {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  /** Of the local driver: `type`, `o`, `device`. */
  readonly options?: Readonly<Record<string, string>>
}

export interface PruneResult {
  readonly removed: readonly string[]
  readonly reclaimedBytes: number
}

export interface NetworkSummary {
  readonly name: string
  readonly stack?: string
  readonly driver: string
  readonly bridge: string
  readonly subnets: readonly string[]
  readonly internal: boolean
}

export interface NetworkDetail extends NetworkSummary {
  readonly gateways: readonly string[]
  readonly parent?: string
  readonly mtu?: number
  readonly labels: Readonly<Record<string, string>>
  readonly createdAt?: string
  readonly containers: readonly {
    readonly id: string
    readonly name: string
    readonly ipv4?: string
    readonly ipv6?: string
    readonly mac: string
  }[]
}

export interface NetworkRequest {
  readonly name: string
  readonly driver?: string
  readonly subnets?: readonly {
    readonly subnet: string
    readonly ipRange?: string
    readonly gateway?: string
  }[]
  readonly internal?: boolean
  readonly ipv6?: boolean
  readonly options?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
}
