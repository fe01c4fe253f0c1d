/**
 * The health of one running container (Compose: healthcheck). Beyond Compose's rules a container that is not yet healthy
 * is probed soon and often, with growing pauses, so that whoever waits for it goes on the moment it can answer; such
 * early failures count only at the pace of the interval.
 */
import type { HealthCheck } from '../engine/container-config.ts'
import type { ProbeResult } from '../engine/health-probe.ts'
import type { HealthState } from '../planner/observed-state.ts'
import { LONGEST_TIMER_MS } from '../timer-limit.ts'

export interface HealthLogEntry {
  readonly time: string
  readonly exitCode: number
  readonly output: string
}

export interface HealthMonitor {
  readonly state: () => HealthState
  /** The last five probes, newest last. */
  readonly log: () => readonly HealthLogEntry[]
  /** Changes what is checked and how often, from now on. */
  update(check: HealthCheck): void
  close(): void
}

export interface HealthMonitorOptions {
  readonly check: HealthCheck
  readonly probe: (check: HealthCheck) => Promise<ProbeResult>
  readonly onChange: (state: HealthState) => void
  /** false: adopted from another daemon, its start period is over. */
  readonly isNew: boolean
}

const LOG_ENTRIES = 5
const FIRST_PAUSE_MS = 25
const PAUSE_GROWTH = 1.6

export function startHealthMonitor(options: HealthMonitorOptions): HealthMonitor {
  const monitor = new Monitor(options)
  return {
    state: () => monitor.state,
    log: () => monitor.log,
    update: (check) => {
      monitor.check = check
    },
    close: () => {
      monitor.close()
    },
  }
}

class Monitor {
  state: HealthState = 'starting'
  log: HealthLogEntry[] = []
  check: HealthCheck
  readonly #options: HealthMonitorOptions
  readonly #startedAt = performance.now()
  #failures = 0
  #lastCounted = 0
  #eagerPauseMs = FIRST_PAUSE_MS
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: HealthMonitorOptions) {
    this.#options = options
    this.check = options.check
    this.#lastCounted = this.#startedAt
    this.#schedule(options.isNew ? FIRST_PAUSE_MS : 0)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #schedule(delayMs: number): void {
    if (this.#closed) return
    this.#timer = setTimeout(
      () => {
        void this.#probe()
      },
      Math.min(delayMs, LONGEST_TIMER_MS),
    )
    this.#timer.unref()
  }

  async #probe(): Promise<void> {
    const result = await this.#options.probe(this.check)
    if (this.#closed) return
    this.log = [...this.log, { time: new Date().toISOString(), ...result }].slice(-LOG_ENTRIES)
    if (result.exitCode === 0) this.#succeed()
    else this.#fail()
    this.#schedule(this.#nextPause())
  }

  #succeed(): void {
    this.#failures = 0
    this.#become('healthy')
  }

  #fail(): void {
    const now = performance.now()
    const { intervalMs, startPeriodMs, startIntervalMs, retries } = this.check
    const isStarting = this.state === 'starting' && now - this.#startedAt < startPeriodMs
    const paceMs = isStarting ? startIntervalMs : intervalMs
    const isEarly = this.state === 'starting' && now - this.#lastCounted < paceMs
    if (isStarting || isEarly) return
    this.#lastCounted = now
    this.#failures++
    if (this.#failures >= retries) this.#become('unhealthy')
  }

  #nextPause(): number {
    const { intervalMs, startIntervalMs } = this.check
    if (this.state !== 'starting') return intervalMs
    this.#eagerPauseMs = Math.min(this.#eagerPauseMs * PAUSE_GROWTH, intervalMs, startIntervalMs)
    return this.#eagerPauseMs
  }

  #become(state: HealthState): void {
    if (this.state === state) return
    this.state = state
    this.#options.onChange(state)
  }
}
