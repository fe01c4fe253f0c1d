/**
 * The wire of GitOps: sources, which are git repositories that the daemon follows.
 *
 *   GET    /v1/gitops                    GitSourceStatus[]
 *   POST   /v1/gitops                    GitSource -> GitSourceStatus
 *   GET    /v1/gitops/:name              GitSourceStatus
 *   DELETE /v1/gitops/:name              204   (its stack stays)
 *   POST   /v1/gitops/:name/sync         SyncRequest -> GitSourceStatus, when the pass has ended
 *   POST   /v1/gitops/:name/suspend      GitSourceStatus
 *   POST   /v1/gitops/:name/resume       GitSourceStatus
 *   POST   /v1/gitops/:name/approve      ApproveRequest -> GitSourceStatus
 *   GET    /v1/gitops/:name/diff         PendingChange | { text: '' }
 */

/** What a stack file from git may ask for beyond containers that are confined: nothing, unless it stands here. */
export interface Permissions {
  readonly privileged: boolean
  readonly hostNamespaces: boolean
  /** Absolute paths of the host; what is below them too. */
  readonly hostPaths: readonly string[]
  /** Without `CAP_`, in capitals; `ALL`. */
  readonly capabilities: readonly string[]
  /** Absolute paths of devices; `gpus`. */
  readonly devices: readonly string[]
  /** Names of volumes, networks, images and containers that do not belong to the stack. */
  readonly external: readonly string[]
  /** Ports of the host below 1024, each `80` or a range `80-90`. */
  readonly ports?: readonly string[]
}

/**
 * Has services with `x-tsstack.image_policy` follow the tags of their registries: what is newer is written into the stack
 * file, and comes back as a commit of the repository.
 */
export interface ImageUpdates {
  /** Between looks at the registries. */
  readonly intervalSeconds: number
  /** Absent: the branch that is followed. */
  readonly branch?: string
  /** Absent: as it is fetched from. With one of these three, nothing of the fetch's credentials is used. */
  readonly repo?: string
  readonly sshKeyFile?: string
  readonly passwordFile?: string
  /** `NAME <EMAIL>`. */
  readonly author: string
  /** First line of the commit; `{source}`, `{stack}` and `{changes}` stand for what they say. */
  readonly message: string
  /** A private key of SSH or OpenPGP without passphrase; absolute. */
  readonly signKeyFile?: string
}

/** A source as its user declares it. */
export interface GitSource {
  readonly name: string
  readonly repo: string
  /** A branch, a tag or a whole commit; absent: the repository's HEAD. */
  readonly ref?: string
  /** Within the repository: a directory or a YAML file; empty: its root. */
  readonly path: string
  /** Only `path`'s directory and these are fetched and written, with the files above them; absent: all. */
  readonly sparse?: readonly string[]
  /** The name of the stack, whatever the file says. */
  readonly stack: string
  readonly intervalSeconds: number
  /** Of one git command. */
  readonly fetchTimeoutSeconds: number
  /** How long a revision may take until all of it is ready. */
  readonly healthTimeoutSeconds: number
  /** How long it must then stay so. */
  readonly monitorSeconds: number
  /** Remove containers of services that have left the file. */
  readonly prune: boolean
  /** A revision may remove every service that runs. */
  readonly allowEmpty: boolean
  /** Absolute paths of the host, for interpolation. */
  readonly envFiles: readonly string[]
  readonly profiles: readonly string[]
  /** Sources that must be ready first. */
  readonly dependsOn: readonly string[]
  readonly approve: 'auto' | 'manual'
  /** `MINUTE HOUR DAY MONTH WEEKDAY DURATION`: changes are made only within one of them; none: at any time. */
  readonly windows: readonly string[]
  /** As `windows`: no changes within them. */
  readonly freezes: readonly string[]
  /** Texts of OpenPGP or SSH public keys; none: signatures are not looked at. */
  readonly verifyKeys: readonly string[]
  readonly allow: Permissions
  readonly webhookSecret?: string
  /** URLs that are told of outcomes. */
  readonly notify: readonly string[]
  /** Absolute paths of the host. */
  readonly sshKeyFile?: string
  readonly knownHostsFile?: string
  /** A file with `user:password` or a token, for https. */
  readonly passwordFile?: string
  /** Identity of age(1), for files of the repository that are encrypted. */
  readonly ageIdentityFile?: string
  /** Absent: nothing is ever written to the repository. */
  readonly imageUpdates?: ImageUpdates
}

/** An image that follows its policy. */
export interface FollowedImage {
  readonly service: string
  /** As it is written in the commit that runs. */
  readonly image: string
  /** What the policy chooses; absent: there is nothing newer. */
  readonly newer?: string
  /** Why it can't be looked at, or is not written. */
  readonly message?: string
}

export interface ImageUpdateStatus {
  /** RFC 3339: when the registries were last asked. */
  readonly checkedAt?: string
  readonly images: readonly FollowedImage[]
  /** The last commit that was written. */
  readonly pushed?: {
    readonly commit: string
    readonly branch: string
    readonly at: string
    /** `web: shop:1.4.1 -> shop:1.4.2`. */
    readonly changes: readonly string[]
  }
  /** Why what is newer could not be written. */
  readonly message?: string
}

/** One commit of a source, as far as it matters. */
export interface RevisionSummary {
  readonly commit: string
  /** sha256 of the stack and of every file that it reads. */
  readonly digest: string
  readonly subject: string
  readonly author: string
  /** RFC 3339: when it was applied, or refused. */
  readonly at: string
}

export type GitSourceReason =
  | 'Progressing'
  | 'Synced'
  | 'Suspended'
  | 'FetchFailed'
  | 'VerificationFailed'
  | 'Invalid'
  | 'Refused'
  | 'ApplyFailed'
  | 'HealthCheckFailed'
  | 'RolledBack'
  | 'RollbackFailed'
  | 'DependencyNotReady'
  | 'AwaitingApproval'
  | 'OutsideWindow'

export interface HeldRevision extends RevisionSummary {
  readonly reason: GitSourceReason
  readonly message: string
}

/** What would be done, and is not done yet. */
export interface PendingChange extends RevisionSummary {
  readonly reason: GitSourceReason
  /** What `formatPlan` prints. */
  readonly text: string
}

/** What is told of a source; user and password of its `repo` are left out. */
export interface GitSourceStatus extends Pick<
  GitSource,
  | 'name'
  | 'repo'
  | 'ref'
  | 'path'
  | 'stack'
  | 'intervalSeconds'
  | 'prune'
  | 'approve'
  | 'dependsOn'
  | 'windows'
  | 'freezes'
  | 'allow'
> {
  readonly suspended: boolean
  readonly verified: boolean
  readonly webhook: boolean
  /** Flux's condition `Ready`: `Unknown` while it is on its way. */
  readonly ready: 'True' | 'False' | 'Unknown'
  readonly reason: GitSourceReason
  readonly message: string
  /** RFC 3339: since when it is as it is. */
  readonly since: string
  /** The newest commit that was seen. */
  readonly observedCommit?: string
  readonly observedAt?: string
  /** What runs, or is to run. */
  readonly applied?: RevisionSummary
  /** The last that was ready in time. */
  readonly lastGood?: RevisionSummary
  readonly held?: HeldRevision
  readonly pending?: PendingChange
  readonly nextSyncAt?: string
  /** Of a source that may write image updates. */
  readonly imageUpdates?: ImageUpdateStatus
}

export interface SyncRequest {
  /** Also what is held, and what is applied already. */
  readonly force?: boolean
}

export interface ApproveRequest {
  /** Of the pending change: what was looked at is what is applied. */
  readonly digest?: string
}
