/**
 * What is remembered of each source: what its user declared, and how far it has got. The second is written before each
 * step that could be cut short, so that the next daemon goes on where this one was killed:
 *
 *   (nothing) ──applying──▶ apply, wait for health ──▶ applied = lastGood ──▶ (nothing)
 *                                     │ fails
 *                                     ▼
 *                           held, rollingBack ──▶ lastGood applied again ──▶ (nothing)
 */
import type {
  GitSource,
  GitSourceStatus,
  ImageUpdateStatus,
  RevisionSummary,
} from '../api/gitops-types.ts'
import type { StackSource } from '../api/types.ts'
import type { Digest } from '../engine/images/image.ts'
import type { Collection, StateStore } from '../state/state-store.ts'

/** A revision with all that it takes to apply it again, without the repository. */
export interface Release extends RevisionSummary {
  readonly source: StackSource
  /** Directories that its containers mount, absolute: kept as long as the release may be applied again. */
  readonly directories: readonly string[]
  /** Ids of the images that its services had when it was found good, by service. */
  readonly imageIds?: Readonly<Record<string, Digest>>
  /** Number of the stack's revision that it became. */
  readonly revision?: number
}

/** Key: the source's name. */
export interface SourceRecord extends GitSource {
  readonly suspended: boolean
}

/** Key: the source's name. */
export interface ProgressRecord extends Pick<
  GitSourceStatus,
  'ready' | 'reason' | 'message' | 'since' | 'observedCommit' | 'observedAt' | 'held' | 'pending'
> {
  /** The digest of the commit that was last seen. */
  readonly observedDigest?: string
  readonly applied?: Release
  readonly lastGood?: Release
  /** Begun, and not known to have ended. */
  readonly applying?: Release
  readonly rollingBack?: true
  /** Of a pending change that its user has agreed to. */
  readonly approvedDigest?: string
  /** In a row, of what may pass by itself. */
  readonly failures: number
  readonly imageUpdates?: ImageUpdateRecord
}

export interface ImageUpdateRecord extends ImageUpdateStatus {
  /**
   * What was last written, by service. What somebody has taken back since is not written again: who reverts a commit of
   * ours wants it so, and two daemons that see different registries would answer each other for ever.
   */
  readonly written?: Readonly<Record<string, string>>
}

export interface SourceRecords {
  readonly sources: Collection<SourceRecord>
  readonly progress: Collection<ProgressRecord>
}

export function openSourceRecords(state: StateStore): SourceRecords {
  return {
    sources: state.collection<SourceRecord>('git-source'),
    progress: state.collection<ProgressRecord>('git-progress'),
  }
}
