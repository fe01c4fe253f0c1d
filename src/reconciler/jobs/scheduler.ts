/**
 * Runs services when their time has come (`x-tsstack.schedule`). What is due is calculated from the records of the
 * stacks; from when on instants count is kept for each service, so that a daemon that was away knows what it has missed.
 *
 *   due ─┬─ the stack is stopped ─────────── nothing
 *        ├─ the run before goes on ─ forbid ─ skipped
 *        │                         ─ replace ─ the old one is stopped
 *        └─ a container of its own, started; its end is in the history
 */
import type { JobRun, JobSummary } from '../../api/job-types.ts'
import type { StackSource } from '../../api/types.ts'
import { toTsstackError, TsstackError } from '../../errors.ts'
import { log } from '../../log.ts'
import { nextRun } from '../../spec/cron.ts'
import type { Schedule } from '../../spec/stack.ts'
import type { Collection } from '../../state/state-store.ts'
import type { Context } from '../context.ts'
import { createOneOff } from '../one-off.ts'
import type { StackRecord } from '../records.ts'
import { removeContainer } from '../remove-container.ts'
import { startOnRequest } from '../request-start.ts'
import { stopContainer } from '../stop-container.ts'
import { openJobRuns, type JobRuns } from './job-runs.ts'

/** Timers hold 31 bits of milliseconds; a clock may be set meanwhile. */
const LONGEST_TIMER_MS = 3_600_000
const DEFAULT_HISTORY = 5

export interface JobScheduler {
  list(stack: string): JobSummary[]
  /** Newest first. */
  history(stack: string, service?: string): JobRun[]
  /** @throws {NOT_FOUND} when the service has no schedule @throws what kept it from being started */
  runNow(stack: string, service: string): Promise<JobRun>
  close(): void
}

interface Job {
  readonly record: StackRecord
  readonly service: string
  readonly schedule: Schedule
}

/** Call once, when containers are adopted. */
export function openJobScheduler(context: Context): JobScheduler {
  return new Scheduler(context)
}

class Scheduler implements JobScheduler {
  readonly #context: Context
  readonly #runs: JobRuns
  /** From when on instants of a service count, RFC 3339. Key: `<stack>/<service>`. */
  readonly #since: Collection<string>
  readonly #unsubscribe: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(context: Context) {
    this.#context = context
    this.#runs = openJobRuns(context.state)
    this.#since = context.state.collection('job-since', { ofFacts: true })
    this.#unsubscribe = context.events.subscribe((event) => {
      // A revision may have brought a schedule or taken one away.
      if (event.type === 'stack')
        queueMicrotask(() => {
          this.#forget()
          this.#look()
        })
      if (event.action === 'die')
        queueMicrotask(() => {
          this.#settle()
        })
    })
    this.#forget()
    this.#settle()
    for (const job of this.#jobs()) this.#makeUp(job)
    this.#look()
  }

  list(stack: string): JobSummary[] {
    return this.#jobs()
      .filter(({ record }) => record.name === stack)
      .map((job) => this.#summary(job))
  }

  #summary({ record, service, schedule }: Job): JobSummary {
    const next = record.stopped === true ? undefined : nextRun(schedule, new Date())
    const last = this.#runs.of(record.name, service).findLast(({ state }) => state !== 'skipped')
    return {
      stack: record.name,
      service,
      cron: schedule.cron,
      ...(schedule.time_zone === undefined ? {} : { timeZone: schedule.time_zone }),
      ...(next === undefined ? {} : { next: next.toISOString() }),
      ...(last === undefined ? {} : { last }),
    }
  }

  history(stack: string, service?: string): JobRun[] {
    return this.#runs.of(stack, service).reverse()
  }

  async runNow(stack: string, service: string): Promise<JobRun> {
    const job = this.#jobs().find(
      ({ record, service: name }) => record.name === stack && name === service,
    )
    if (job === undefined) {
      throw new TsstackError(
        'NOT_FOUND',
        `Cannot run job "${service}" of stack "${stack}": it has no schedule`,
        {
          hint: 'Write x-tsstack.schedule, or use "tsstack run"',
        },
      )
    }
    const run = await this.#run(job, 'request')
    if (run.state === 'running' || run.container !== undefined) return run
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot run job "${service}": ${run.reason ?? run.state}`,
    )
  }

  close(): void {
    this.#unsubscribe()
    clearTimeout(this.#timer)
  }

  #jobs(): Job[] {
    return this.#context.stacks.values().flatMap((record) => jobsOf(record))
  }

  /** Starts what is due, and comes back when the next one is. */
  #look(): void {
    clearTimeout(this.#timer)
    const now = Date.now()
    let waitMs = LONGEST_TIMER_MS
    for (const job of this.#jobs()) {
      const due = this.#due(job)
      if (due !== undefined && due <= now) {
        this.#count(job)
        void this.#run(job, 'schedule')
      }
      const next = this.#due(job)
      if (next !== undefined) waitMs = Math.min(waitMs, Math.max(0, next - now))
    }
    this.#timer = setTimeout(() => {
      this.#look()
    }, waitMs)
    this.#timer.unref()
  }

  /** Nothing is remembered of a stack that is gone, nor from when on a schedule counted that is gone. */
  #forget(): void {
    const { stacks } = this.#context
    const known = new Set(this.#jobs().map(keyOf))
    for (const [key] of this.#since.entries()) if (!known.has(key)) this.#since.delete(key)
    for (const run of this.#runs.all())
      if (stacks.get(run.stack) === undefined) this.#runs.forget(run)
  }

  /** Its next instant, in milliseconds; one may be in the past. */
  #due(job: Job): number | undefined {
    const key = keyOf(job)
    if (this.#since.get(key) === undefined) this.#count(job)
    return nextRun(job.schedule, new Date(this.#since.get(key) ?? Date.now()))?.getTime()
  }

  /** What lies before now does not count any more. */
  #count(job: Job): void {
    this.#since.put(keyOf(job), new Date().toISOString())
  }

  /** Instants that passed while there was no daemon. */
  #makeUp(job: Job): void {
    const due = this.#due(job)
    if (due === undefined || due > Date.now()) return
    this.#count(job)
    if (job.schedule.missed === 'run') void this.#run(job, 'missed')
  }

  async #run(job: Job, trigger: JobRun['trigger']): Promise<JobRun> {
    const { record, service, schedule } = job
    const base = { stack: record.name, service, trigger }
    const others = this.#runs
      .running()
      .filter((run) => run.stack === record.name && run.service === service)
    if (trigger !== 'request' && record.stopped === true)
      return {
        ...base,
        id: '',
        startedAt: new Date().toISOString(),
        state: 'skipped',
        reason: 'the stack is stopped',
      }
    const { concurrency = 'forbid' } = schedule
    if (others.length > 0 && concurrency === 'forbid') {
      const skipped = this.#runs.begin({
        ...base,
        state: 'skipped',
        reason: 'the run before goes on',
      })
      this.#trim(job)
      return skipped
    }
    const run = this.#runs.begin({ ...base, state: 'running' })
    if (concurrency === 'replace') await Promise.all(others.map((other) => this.#stop(other)))
    return this.#start(job, run)
  }

  async #start(job: Job, begun: JobRun): Promise<JobRun> {
    const { service } = job
    let run = begun
    try {
      const record = this.#recordOf(job)
      const name = `${record.name}-${service}-job-${begun.id}`
      const source = sourceOf(record)
      const request = { ...source, service, name, tty: false, stdin: false, noDeps: true }
      const container = await createOneOff(this.#context, request)
      run = this.#runs.change(run, { container })
      this.#assertWanted(job, run)
      await startOnRequest(this.#context, container)
      this.#settle() // it may have ended already
      return this.#runs.of(record.name, service).find(({ id }) => id === run.id) ?? run
    } catch (error) {
      const reason = toTsstackError(error).message
      log.warn('scheduled run could not be started', { stack: job.record.name, service, error })
      const finishedAt = new Date().toISOString()
      const failed = this.#runs.change(run, { state: 'failed', reason, finishedAt })
      await this.#removeUnbegun(run)
      this.#trim(job)
      return failed
    }
  }

  /**
   * What the stack is by now: a new revision, or a `down`, may have come since the run was due.
   * @throws {FAILED_PRECONDITION} when the service has no schedule any more
   */
  #recordOf({ record: { name }, service }: Job): StackRecord {
    const record = this.#context.stacks.get(name)
    if (record !== undefined && jobsOf(record).some((job) => job.service === service)) return record
    throw new TsstackError('FAILED_PRECONDITION', `Cannot run job "${service}": it is gone`)
  }

  /** @throws {FAILED_PRECONDITION} when its time is over before it began */
  #assertWanted(job: Job, { id }: JobRun): void {
    const { record, service, schedule } = job
    this.#recordOf(job)
    const latest = this.#runs.of(record.name, service).findLast(({ state }) => state === 'running')
    if (schedule.concurrency !== 'replace' || latest?.id === id) return
    throw new TsstackError('FAILED_PRECONDITION', `Cannot run job "${service}": it was replaced`)
  }

  /** It has no log that anybody could want. */
  async #removeUnbegun({ container = '', service }: JobRun): Promise<void> {
    if (this.#context.containers.get(container)?.state === 'created')
      await this.#remove(container, service)
  }

  /** One whose container is being made yields by itself: see #assertWanted. */
  async #stop({ container, service }: JobRun): Promise<void> {
    if (container === undefined) return
    try {
      await this.#context.locks.run(container, () => stopContainer(this.#context, container))
    } catch (error) {
      log.warn('run could not be stopped', { service, error })
    }
  }

  /** Writes down the ends of runs. */
  #settle(): void {
    for (const run of this.#runs.running()) {
      const container =
        run.container === undefined ? undefined : this.#context.containers.get(run.container)
      if (run.container !== undefined && this.#context.live.has(run.container)) continue
      // It is being made, or prepared, in another turn. What an earlier daemon had not begun nobody begins.
      if ((container === undefined || container.state === 'created') && this.#isBeginning(run))
        continue
      const { exitCode = 255, finishedAt = new Date().toISOString() } = container ?? {}
      const state = exitCode === 0 ? 'succeeded' : 'failed'
      this.#runs.change(run, { state, exitCode, finishedAt })
      const job = this.#jobs().find(
        ({ record, service }) => record.name === run.stack && service === run.service,
      )
      if (job !== undefined) this.#trim(job)
    }
  }

  readonly #openedAt = new Date().toISOString()
  #isBeginning({ startedAt }: JobRun): boolean {
    return startedAt >= this.#openedAt
  }

  /** Forgets the oldest runs that have ended, with their containers. */
  #trim({ record, service, schedule }: Job): void {
    const ended = this.#runs.of(record.name, service).filter(({ state }) => state !== 'running')
    const surplus = ended.length - (schedule.history ?? DEFAULT_HISTORY)
    for (const run of ended.slice(0, Math.max(0, surplus))) {
      this.#runs.forget(run)
      const { container } = run
      if (container !== undefined) void this.#remove(container, service)
    }
  }

  async #remove(container: string, service: string): Promise<void> {
    try {
      await this.#context.locks.run(container, () =>
        removeContainer(this.#context, container, { volumes: true }),
      )
    } catch (error) {
      log.warn('container of a run could not be removed', { service, error })
    }
  }
}

/** None while the stack is being taken down. */
function jobsOf(record: StackRecord): Job[] {
  if (record.down !== undefined) return []
  return Object.entries(record.stack.services).flatMap(([service, definition]) => {
    const schedule = definition['x-tsstack']?.schedule
    return schedule === undefined ? [] : [{ record, service, schedule }]
  })
}

function keyOf({ record, service }: Job): string {
  return `${record.name}/${service}`
}

function sourceOf({ stack, files, workingDir, contents, origin }: StackRecord): StackSource {
  return { stack, files, workingDir, contents, ...(origin === undefined ? {} : { origin }) }
}
