/** How what changes something is gone about. */
export interface RequestManner {
  /** Tell what would be done, as progress, and do nothing. */
  readonly dryRun?: boolean
  /** Operations at the same time; absent: the daemon's own bound. */
  readonly parallel?: number
}
