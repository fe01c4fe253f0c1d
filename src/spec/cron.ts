/** Cron expressions (man 5 crontab): which there are, and when the next instant of one is. Pure: the time comes in. */
import { Cron } from 'croner'

export interface CronSchedule {
  /** Five fields, six with seconds, or a name such as `@daily`. */
  readonly cron: string
  /** Of the IANA database: `Europe/Vienna`. Absent: that of the daemon. */
  readonly time_zone?: string
}

/** @returns the first instant after the given one; undefined when there is none any more */
export function nextRun(schedule: CronSchedule, after: Date): Date | undefined {
  return parse(schedule).nextRun(after) ?? undefined
}

/** @returns why it is no schedule; undefined when it is one */
export function scheduleError(schedule: CronSchedule): string | undefined {
  try {
    const first = parse(schedule).nextRun(new Date(0))
    return first === null ? 'it has no instant' : undefined
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error)
  }
}

/** Paused: it only calculates, and starts no timer. */
function parse({ cron, time_zone: timezone }: CronSchedule): Cron {
  return new Cron(cron, { paused: true, ...(timezone === undefined ? {} : { timezone }) })
}
