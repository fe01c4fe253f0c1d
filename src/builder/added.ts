/** What ADD has found elsewhere: the value between who fetches and who copies. */

export interface Added {
  /** What the cache knows it by. */
  readonly identity: string
  /** Where it is, or will be. */
  readonly directory: string
  /** In the directory; '' is all of it. */
  readonly path: string
  readonly isGit: boolean
  /** Brings it; does nothing when it had to be there to be known. */
  readonly fetch: () => Promise<void>
}

export interface FetchOptions {
  /** `--checksum`. */
  readonly checksum: string | undefined
  /** `--keep-git-dir`. */
  readonly keepGitDir: boolean
  /** Whether addresses of this host's loopback interface are allowed. */
  readonly reachesHost: boolean
  readonly signal: AbortSignal
}
