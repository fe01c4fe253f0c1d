/** Scheduled runs of services (`x-tsstack.schedule`), as the daemon tells of them. */

export interface JobSummary {
  readonly stack: string
  readonly service: string
  readonly cron: string
  readonly timeZone?: string
  /** RFC 3339; absent while the stack is stopped. */
  readonly next?: string
  /** Of the runs that are remembered, the newest that began. */
  readonly last?: JobRun
}

export interface JobRun {
  readonly id: string
  readonly stack: string
  readonly service: string
  /** `schedule`: its time had come; `missed`: made up for; `request`: somebody asked for it. */
  readonly trigger: 'schedule' | 'missed' | 'request'
  readonly state: 'running' | 'succeeded' | 'failed' | 'skipped'
  /** Absent when there is none: the run was skipped, or could not begin. */
  readonly container?: string
  /** RFC 3339. */
  readonly startedAt: string
  readonly finishedAt?: string
  readonly exitCode?: number
  /** Why it was skipped, or could not begin. */
  readonly reason?: string
}
