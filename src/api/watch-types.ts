/**
 * The wire of `watch`: while somebody watches a stack, changed files go into its containers by
 *
 *   POST /v1/stacks/:stack/watch    stream that stays open: one WatchOpened, then nothing. While it is open the daemon
 *                                   keeps in mind what was synced, so that replacements of containers get it, too
 *   POST /v1/stacks/:stack/sync     SyncRequest -> SyncResponse
 */

export interface WatchOpened {
  readonly type: 'watching'
}

export interface SyncRequestEntry {
  /** Absolute path on the host of what a rule watches. */
  readonly root: string
  /** Of what has changed, relative to `root`; empty for itself. What is not there is removed in the container. */
  readonly path: string
  /** Absolute path in the container. */
  readonly target: string
}

export interface SyncRequest {
  readonly service: string
  readonly entries: readonly SyncRequestEntry[]
}

/** Of one entry, over all replicas: what was done in at least one of them. */
export interface SyncResult {
  readonly target: string
  readonly outcome: 'written' | 'removed' | 'unchanged' | 'failed'
  /** Why it failed, with the container's name. */
  readonly message?: string
}

export interface SyncResponse {
  /** Names of the containers that were brought up to date. */
  readonly containers: readonly string[]
  /** In the order of the entries. */
  readonly results: readonly SyncResult[]
}
