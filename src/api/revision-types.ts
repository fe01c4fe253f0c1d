/**
 * The wire of revisions: what a stack was wanted to be, one after the other.
 *
 *   GET  /v1/stacks/:stack/revisions                     Revision[], newest first
 *   GET  /v1/stacks/:stack/revisions/diff?from=&to=      RevisionDiff   (numbers; without `from`: the one before `to`)
 *   POST /v1/stacks/:stack/rollback                      RollbackRequest -> stream of ProgressEvent
 */
import type { ModelChange } from '../planner/model-changes.ts'
import type { RequestManner } from './request-manner.ts'

/** Where a stack's files come from, when that is more than a directory of this host. */
export interface StackOrigin {
  readonly kind: 'git'
  /** Without credentials. */
  readonly repository: string
  /** The full object name. */
  readonly commit: string
  /** As it was asked for: a branch, a tag. */
  readonly ref?: string
  /** Of the stack file or its directory, in the repository. */
  readonly path?: string
}

export type RevisionStatus = 'applying' | 'succeeded' | 'failed' | 'superseded'

/** How it ended. `superseded`: another one came before it was done. */
export interface RevisionOutcome {
  readonly status: RevisionStatus
  /** RFC 3339: when it became so. */
  readonly at: string
  /** Of a failure. */
  readonly message?: string
}

/** One accepted desired state. */
export interface Revision {
  readonly stack: string
  /** Counts from 1 within the stack, and is never given twice. */
  readonly number: number
  /** sha256 of the model, the contents of its configs and secrets, and its images: equal for equal desired states. */
  readonly digest: string
  /** RFC 3339. */
  readonly createdAt: string
  /** A user of this host, or the part of the daemon that asked for it (`gitops`). */
  readonly author: string
  /** Absolute paths of the stack files. */
  readonly files: readonly string[]
  readonly origin?: StackOrigin
  /** Id of each service's image. */
  readonly imageDigests: Readonly<Record<string, string>>
  /** The number of the revision that it goes back to. */
  readonly rollbackOf?: number
  /** What differs from the revision before; at most 200, sensitive values hidden. */
  readonly changes: readonly ModelChange[]
  readonly outcome: RevisionOutcome
  /** It is what the stack is wanted to be now. */
  readonly current: boolean
}

export interface RevisionDiff {
  readonly from: number
  readonly to: number
  readonly changes: readonly ModelChange[]
}

export interface RollbackRequest extends RequestManner {
  /** Default: the last one that succeeded before the current one. */
  readonly revision?: number
  readonly timeoutSeconds?: number
  readonly wait?: boolean
  readonly waitTimeoutSeconds?: number
}
