/**
 * The wire, images and registries. Credentials travel with the request that needs them: they are the user's, and the
 * daemon keeps none.
 *
 *   POST   /v1/stacks/:stack/pull       PullRequest -> stream of ProgressEvent
 *   POST   /v1/stacks/:stack/push       PushRequest -> stream of ProgressEvent
 *   POST   /v1/images/pull              TransferRequest -> stream of ProgressEvent
 *   POST   /v1/images/push              TransferRequest -> stream of ProgressEvent
 *   POST   /v1/registries/login         LoginRequest -> 204: the registry accepts them
 *   POST   /v1/registries/tags          TagsRequest -> string[]
 */
import type { Credentials, CredentialsByRegistry } from '../registry/credentials.ts'
import type { StackSource } from './types.ts'

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

export interface PushRequest extends StackSource {
  readonly options: {
    readonly services?: readonly string[]
    readonly includeDeps?: boolean
    readonly ignoreFailures?: boolean
  }
  readonly credentials?: CredentialsByRegistry
}

export interface TransferRequest {
  readonly references: readonly string[]
  readonly credentials?: CredentialsByRegistry
}

export interface LoginRequest {
  /** `docker.io`, `127.0.0.1:5000`. */
  readonly registry: string
  readonly credentials: Credentials
}

export interface TagsRequest {
  readonly reference: string
  readonly credentials?: CredentialsByRegistry
}
