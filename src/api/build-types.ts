/**
 * The wire, for builds:
 *
 *   POST /v1/stacks/:stack/build     BuildRequest -> stream of ProgressEvent
 *   POST /v1/builder/prune           BuildPruneRequest -> BuildPruneResponse
 *
 * Contexts are directories of the daemon's host, by their absolute paths.
 */
import type { CredentialsByRegistry } from '../registry/credentials.ts'
import type { PushCompression } from './image-types.ts'
import type { StackSource } from './types.ts'

export interface BuildOptions {
  /** Absent or empty: every service that has a `build`. */
  readonly services?: readonly string[]
  /** The services that they depend on, too. */
  readonly withDependencies?: boolean
  /** Check the Dockerfiles, and build nothing. */
  readonly check?: boolean
  readonly noCache?: boolean
  /** Look for newer base images in their registries. */
  readonly pull?: boolean
  readonly push?: boolean
  /** Of the push. Default: gzip. */
  readonly compression?: PushCompression
  /** Over those of the stack file. */
  readonly args?: Readonly<Record<string, string>>
  /** By id: the socket of an ssh agent. */
  readonly ssh?: Readonly<Record<string, string>>
}

export interface BuildRequest extends StackSource {
  readonly options: BuildOptions
  /** For pulls and pushes; not kept. */
  readonly credentials?: CredentialsByRegistry
}

export interface BuildPruneRequest {
  /** What the cache may keep; absent: nothing. */
  readonly keepBytes?: number
  /** Milliseconds since 1970: what was of use then or later is kept. */
  readonly usedBefore?: number
}

export interface BuildPruneResponse {
  readonly steps: number
  readonly reclaimedBytes: number
}
