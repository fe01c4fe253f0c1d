/**
 * Keeps every stack as it is declared. Level-triggered: whatever happened, a stack is looked at as a whole, and what
 * differs from what is wanted is told and repaired. Looks are caused by the kernel (an interface goes, a rule is
 * deleted), by a person who resumes a stack, and by time, should something have gone unseen.
 *
 *   event ──▶ due ──▶ (a place among the few at once) ──▶ lock "stack NAME" ──▶ look ──▶ repair ──▶ idle
 *                ▲                                                                       │ failed
 *                └────────────── back-off, jittered, twice as long each time ◀───────────┘
 */
import { toTsstackError } from '../../errors.ts'
import { openFileWrites, type FileWrites } from '../../kernel/file-writes.ts'
import { log } from '../../log.ts'
import { watchKernelNetwork } from '../../network/kernel-notifications.ts'
import { backOffMs } from '../back-off.ts'
import type { Context } from '../context.ts'
import type { Baselines } from './container-drift.ts'
import { HostView } from './host-view.ts'
import type { Loop, LoopState } from './loop-state.ts'
import { interventionsOf, firstEndAfter } from './interventions.ts'
import { lookAtStack, repairFirewall } from './look.ts'
import { NetworkInterests } from './network-interests.ts'
import type { SettledPlans } from './plan-drift.ts'
import { LONGEST_TIMER_MS } from '../../timer-limit.ts'

/** Looks at the same time: more would only wait for the same kernel locks. */
const CONCURRENCY = 4
/** Notifications of one change come in a burst; a repair is to begin within a few milliseconds nevertheless. */
const BURST_MS = 5
/** A repair may take long, by waiting; that is no reason to rest. */
const LONGEST_REST_MS = 500
const RETRY = { firstMs: 500, longestMs: 5 * 60_000 }
/** The longest time that Node's timers know: 24.8 days. */

export interface LoopOptions {
  /** Of the periodic look at every stack; 0: none. */
  readonly intervalMs: number
}

/** A repair may wait for what a person is going to change. */
const NOBODY_WAITS = AbortSignal.abort()

const UNSEEN: LoopState = { drift: [], failures: 0 }

/** @param contextOf - the loop is part of what it works with */
export function createLoop(contextOf: () => Context, options: LoopOptions): Loop {
  return new StackLoop(contextOf, options)
}

function followWrites(): FileWrites | undefined {
  try {
    return openFileWrites()
  } catch (error) {
    log.warn('writes into control groups can not be followed', { error })
    return undefined
  }
}

class StackLoop implements Loop {
  readonly #contextOf: () => Context
  readonly #options: LoopOptions
  readonly #interests: NetworkInterests
  readonly #host: HostView
  readonly #baselines: Baselines = { of: new WeakMap(), writes: followWrites() }
  readonly #settledPlans: SettledPlans = new Map()
  readonly #states = new Map<string, LoopState>()
  /** Names of interfaces that have changed. */
  readonly #links = new Set<string>()
  readonly #due = new Set<string>()
  readonly #busy = new Set<string>()
  /** Looks that are due later: a repair is tried again, something that was done by hand ends. */
  readonly #wakes = new Map<string, NodeJS.Timeout>()
  readonly #listeners = new Set<(stack: string) => void>()
  /** What somebody did to the firewall since it was last written. */
  readonly #tampering = new Set<string>()
  #burst: NodeJS.Timeout | undefined
  /** When the next look may begin: what goes on changing can't keep more than half of the daemon's time. */
  #restsUntil = 0
  #period: NodeJS.Timeout | undefined
  #watch: { close(): void } | undefined
  #closed = false

  constructor(contextOf: () => Context, options: LoopOptions) {
    this.#contextOf = contextOf
    this.#options = options
    this.#interests = new NetworkInterests(contextOf)
    this.#host = new HostView(() => contextOf().networks.inspect())
  }

  start(): void {
    const context = this.#contextOf()
    this.#watch = watchKernelNetwork(
      {
        onLink: (name) => {
          this.#host.forget()
          this.#links.add(name)
          this.#awake()
        },
        onAddress: () => {
          this.#host.forget()
          this.#requestAll()
        },
        onFirewall: (change) => {
          this.#tampering.add(change)
          this.#requestAll()
        },
        onOverrun: () => {
          this.#host.forget()
          this.#tampering.add('notifications were lost')
          this.#requestAll()
        },
      },
      () => context.networks.firewallPort,
    )
    this.#requestAll()
    const { intervalMs } = this.#options
    if (intervalMs === 0) return
    this.#period = setInterval(() => {
      this.#requestAll()
    }, intervalMs).unref()
  }

  request(stack: string): void {
    if (this.#closed) return
    this.#due.add(stack)
    this.#awake()
  }

  stateOf(stack: string): LoopState {
    return this.#states.get(stack) ?? UNSEEN
  }

  onChange(listener: (stack: string) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  close(): void {
    this.#closed = true
    this.#watch?.close()
    this.#baselines.writes?.close()
    clearTimeout(this.#burst)
    clearInterval(this.#period)
    for (const timer of this.#wakes.values()) clearTimeout(timer)
  }

  #awake(): void {
    this.#burst ??= setTimeout(() => {
      this.#burst = undefined
      for (const name of this.#links)
        for (const stack of this.#interests.stacksOf(name)) this.#due.add(stack)
      this.#links.clear()
      // In this turn, before the looks: they find nothing to do about it.
      if (this.#tampering.size > 0) this.#repairFirewall()
      this.#advance()
    }, this.#pauseMs()).unref()
  }

  #repairFirewall(): void {
    repairFirewall(this.#contextOf(), this.#tampering).catch((error: unknown) => {
      log.warn('firewall could not be repaired', { error })
    })
  }

  #pauseMs(): number {
    return Math.max(BURST_MS, this.#restsUntil - performance.now())
  }

  #requestAll(): void {
    for (const { name } of this.#contextOf().stacks.values()) this.request(name)
  }

  #advance(): void {
    for (const stack of this.#due) {
      if (this.#busy.size >= CONCURRENCY) return
      if (this.#busy.has(stack)) continue
      this.#due.delete(stack)
      this.#busy.add(stack)
      const begin = performance.now()
      void this.#look(stack).finally(() => {
        const end = performance.now()
        this.#restsUntil = end + Math.min(end - begin, LONGEST_REST_MS)
        this.#busy.delete(stack)
        if (!this.#closed) this.#advance()
      })
    }
  }

  async #look(stack: string): Promise<void> {
    const context = this.#contextOf()
    clearTimeout(this.#wakes.get(stack))
    this.#wakes.delete(stack)
    const before = this.stateOf(stack)
    try {
      const work = async (hurry: AbortSignal): Promise<void> => {
        if (this.#closed || context.stacks.get(stack) === undefined) {
          this.#states.delete(stack)
          this.#settledPlans.delete(stack)
          return
        }
        const beganMs = Date.now()
        const looked = await lookAtStack(context, stack, {
          baselines: this.#baselines,
          settledPlans: this.#settledPlans,
          host: this.#host,
          tampering: this.#tampering,
          reported: before.drift,
          hurry,
        })
        const lookedAt = new Date().toISOString()
        this.#states.set(stack, { drift: looked.drift, failures: 0, lookedAt })
        if (looked.repaired > 0 || looked.drift.length !== before.drift.length) this.#tell(stack)
        this.#wakeAtEnd(stack, beganMs)
        if (looked.failure !== undefined) throw looked.failure
      }
      await context.locks.run(`stack ${stack}`, work, { abandoned: NOBODY_WAITS })
    } catch (error) {
      this.#retryLater(stack, before.failures + 1, error)
    }
  }

  #retryLater(stack: string, failures: number, error: unknown): void {
    const delayMs = backOffMs(failures, RETRY)
    const { message } = toTsstackError(error)
    log.warn('stack could not be repaired', { stack, failures, error })
    this.#states.set(stack, {
      ...this.stateOf(stack),
      failures,
      lastError: message,
      retryAt: new Date(Date.now() + delayMs).toISOString(),
    })
    this.#wakeIn(stack, delayMs)
    this.#tell(stack)
  }

  /** What was done by hand ends at its time, not at the next periodic look; it may be over by the end of this one. */
  #wakeAtEnd(stack: string, lookBeganMs: number): void {
    const interventions = interventionsOf(this.#contextOf().interventions, stack)
    const endMs = firstEndAfter(interventions, lookBeganMs)
    if (endMs !== undefined) this.#wakeIn(stack, Math.max(0, endMs - Date.now()))
  }

  #wakeIn(stack: string, delayMs: number): void {
    const timer = setTimeout(
      () => {
        this.request(stack)
      },
      Math.min(delayMs, LONGEST_TIMER_MS),
    )
    clearTimeout(this.#wakes.get(stack))
    this.#wakes.set(stack, timer.unref())
  }

  #tell(stack: string): void {
    for (const listener of this.#listeners) listener(stack)
  }
}
