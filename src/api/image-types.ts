/**
 * The wire, images and registries. Credentials travel with the request that needs them: they are the user's, and the
 * daemon keeps none.
 *
 *   POST   /v1/stacks/:stack/pull       PullRequest -> stream of ProgressEvent
 *   POST   /v1/stacks/:stack/push       PushRequest -> stream of ProgressEvent
 *   POST   /v1/images/pull              TransferRequest -> stream of ProgressEvent
 *   POST   /v1/images/push              TransferRequest -> stream of ProgressEvent
 *   POST   /v1/images/tags              TagsRequest -> string[], sorted: the tags that a registry has
 *   POST   /v1/registries/login         LoginRequest -> LoginAnswer: the registry accepts them
 *   GET    /v1/images/list              ImageListEntry[], those without a name too
 *   GET    /v1/images/detail?name=      ImageDetail
 *   GET    /v1/images/history?name=     HistoryEntry[], the newest first
 *   POST   /v1/images/tag               { source, target } -> 204
 *   POST   /v1/images/remove            RemoveImagesRequest -> RemovedImagesResponse
 *   POST   /v1/images/prune?all=&filters= as a JSON list -> RemovedImagesResponse
 *   GET    /v1/images/archive?names=    a tar archive; names is a JSON list
 *   POST   /v1/images/archive           a tar archive -> LoadedImage[]
 *   POST   /v1/images/load              LoadFileRequest -> LoadFileAnswer
 *   POST   /v1/images/import?name=&changes= as a JSON list; a tar archive of a root file system -> { id }
 *   GET    /v1/system/df                UsageRow[]
 *   GET    /v1/system/df/details        UsageDetails
 *   POST   /v1/system/prune             SystemPruneRequest -> SystemPruneResponse
 */
import type { Credentials, CredentialsByRegistry } from '../registry/credentials.ts'
import type { StackSource } from './types.ts'

export interface LoadedImage {
  readonly id: string
  /** As they are typed. */
  readonly names: readonly string[]
}

/** An archive that the client can read. */
export interface LoadFileRequest {
  /** Absolute. */
  readonly path: string
  /** `device:inode:size:mtime`, in decimal digits, the time in nanoseconds. */
  readonly version: string
}

export interface LoadFileAnswer {
  /** Absent when the daemon sees another file there, or none: the archive must be sent. */
  readonly loaded?: readonly LoadedImage[]
}

export interface PullRequest extends StackSource {
  readonly options: {
    /** Empty or absent: all. */
    readonly services?: readonly string[]
    readonly includeDeps?: boolean
    readonly policy?: 'always' | 'missing'
    readonly ignoreFailures?: boolean
  }
  readonly credentials?: CredentialsByRegistry
}

/** Of layers that were made on this host; those that came from elsewhere go as they came. */
export type PushCompression = 'gzip' | 'zstd' | 'none'

export interface PushRequest extends StackSource {
  readonly options: {
    readonly services?: readonly string[]
    readonly includeDeps?: boolean
    readonly ignoreFailures?: boolean
    /** Default: gzip. */
    readonly compression?: PushCompression
  }
  readonly credentials?: CredentialsByRegistry
}

export interface TransferRequest {
  readonly references: readonly string[]
  /** Of pushes. Default: gzip. */
  readonly compression?: PushCompression
  /** Which of several is pulled: `linux/amd64/v3`. Default: the machine's own. */
  readonly platform?: string
  readonly credentials?: CredentialsByRegistry
}

export interface TagsRequest {
  /** A repository; of an image's name, its repository. */
  readonly repository: string
  readonly credentials?: CredentialsByRegistry
}

export interface LoginRequest {
  /** `docker.io`, `127.0.0.1:5000`. */
  readonly registry: string
  readonly credentials: Credentials
}

export interface LoginAnswer {
  /** To be kept instead of the password, where the registry has given one. */
  readonly identityToken?: string
}

export interface ImageDetail {
  readonly id: string
  /** Names with a tag. */
  readonly tags: readonly string[]
  /** `name@sha256:…`, as the registries have it. */
  readonly repoDigests: readonly string[]
  readonly author: string
  /** Of the last step of its history. */
  readonly comment: string
  /** What saved archives call it by; registries do, unless layers were compressed for them: see `repoDigests`. */
  readonly manifest: { readonly mediaType: string; readonly digest: string; readonly size: number }
  readonly createdAt: string
  readonly architecture: string
  readonly os: string
  readonly sizeBytes: number
  /** diffIds, lowest first. */
  readonly layers: readonly string[]
  /** The `config` of the image configuration, as it was written. */
  readonly config: Readonly<Record<string, unknown>>
}

export interface HistoryEntry {
  readonly created?: string
  readonly createdBy: string
  readonly comment: string
  /** Of the layer; 0 without one. */
  readonly sizeBytes: number
}

export interface ImageListEntry {
  readonly id: string
  /** Absent: nothing names it. */
  readonly reference?: string
  /** Of the manifest or index that the registry has under that name, as far as is known. */
  readonly remoteDigest?: string
  readonly labels: Readonly<Record<string, string>>
  readonly createdAt: string
  readonly sizeBytes: number
  /** Containers that use it. */
  readonly containers: number
}

export interface RemoveImagesRequest {
  readonly images: readonly string[]
  /** All names of an image that is given by its id. */
  readonly force?: boolean
}

export interface RemovedImagesResponse {
  readonly untagged: readonly string[]
  readonly deleted: readonly string[]
  readonly reclaimedBytes: number
}

export interface UsageRow {
  readonly type: 'Images' | 'Containers' | 'Local Volumes' | 'Build Cache'
  readonly total: number
  readonly active: number
  readonly sizeBytes: number
  readonly reclaimableBytes: number
}

export interface UsageDetails {
  readonly images: readonly ImageUsageEntry[]
  readonly containers: readonly {
    readonly id: string
    readonly name: string
    readonly image: string
    readonly state: string
    /** What it has written. */
    readonly sizeBytes: number
  }[]
  readonly volumes: readonly {
    readonly name: string
    /** Containers that mount it. */
    readonly links: number
    readonly sizeBytes: number
  }[]
}

export interface ImageUsageEntry extends ImageListEntry {
  /** Of layers that no other image has; the rest is shared. */
  readonly uniqueBytes: number
}

export interface SystemPruneRequest {
  /** Images with a name, too. */
  readonly all?: boolean
  readonly volumes?: boolean
  /** `until=24h`, `label=KEY=VALUE`, `label!=KEY`: all must fit. With one, what builds have cached stays. */
  readonly filters?: readonly string[]
}

export interface SystemPruneResponse {
  readonly containers: readonly string[]
  readonly networks: readonly string[]
  readonly volumes: readonly string[]
  readonly images: RemovedImagesResponse
  readonly reclaimedBytes: number
}
