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
import { log } from '../../log.ts'
import { watchKernelNetwork } from '../../network/kernel-notifications.ts'
import type { Context } from '../context.ts'
import type { Baselines } from './container-drift.ts'
import type { Loop, LoopState } from './loop-state.ts'
import { lookAtStack } from './look.ts'
import { networkInterests } from './network-interests.ts'

/** Looks at the same time: more would only wait for the same kernel locks. */
const CONCURRENCY = 4
/** Notifications of one change come in a burst; a repair is to begin within a few milliseconds nevertheless. */
const BURST_MS = 5
const FIRST_RETRY_MS = 500
const MAX_RETRY_MS = 5 * 60_000

export interface LoopOptions {
  /** Of the periodic look at every stack; 0: none. */
  readonly intervalMs: number
}

const UNSEEN: LoopState = { drift: [], failures: 0 }

/** @param contextOf - the loop is part of what it works with */
export function createLoop(contextOf: () => Context, options: LoopOptions): Loop {
  return new StackLoop(contextOf, options)
}

class StackLoop implements Loop {
  readonly #contextOf: () => Context
  readonly #options: LoopOptions
  readonly #baselines: Baselines = new Map()
  readonly #states = new Map<string, LoopState>()
  readonly #due = new Set<string>()
  readonly #busy = new Set<string>()
  readonly #retries = new Map<string, NodeJS.Timeout>()
  readonly #listeners = new Set<(stack: string) => void>()
  /** What somebody did to the firewall since it was last written. */
  readonly #tampering = new Set<string>()
  #burst: NodeJS.Timeout | undefined
  #period: NodeJS.Timeout | undefined
  #watch: { close(): void } | undefined
  #closed = false

  constructor(contextOf: () => Context, options: LoopOptions) {
    this.#contextOf = contextOf
    this.#options = options
  }

  start(): void {
    const context = this.#contextOf()
    const interests = networkInterests(context)
    this.#watch = watchKernelNetwork(
      {
        onLink: (name) => {
          for (const stack of interests.stacksOf(name)) this.request(stack)
        },
        onAddress: () => {
          this.#requestAll()
        },
        onFirewall: (change) => {
          this.#tampering.add(change)
          this.#requestAll()
        },
        onOverrun: () => {
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
    this.#burst ??= setTimeout(() => {
      this.#burst = undefined
      this.#advance()
    }, BURST_MS).unref()
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
    clearTimeout(this.#burst)
    clearInterval(this.#period)
    for (const timer of this.#retries.values()) clearTimeout(timer)
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
      void this.#look(stack).finally(() => {
        this.#busy.delete(stack)
        if (!this.#closed) this.#advance()
      })
    }
  }

  async #look(stack: string): Promise<void> {
    const context = this.#contextOf()
    clearTimeout(this.#retries.get(stack))
    this.#retries.delete(stack)
    const before = this.stateOf(stack)
    try {
      await context.locks.run(`stack ${stack}`, async () => {
        if (this.#closed || context.stacks.get(stack) === undefined) {
          this.#states.delete(stack)
          return
        }
        const looked = await lookAtStack(context, stack, {
          baselines: this.#baselines,
          tampering: this.#tampering,
          reported: before.drift,
        })
        const lookedAt = new Date().toISOString()
        this.#states.set(stack, { drift: looked.drift, failures: 0, lookedAt })
        if (looked.repaired > 0 || looked.drift.length !== before.drift.length) this.#tell(stack)
        if (looked.failure !== undefined) throw looked.failure
      })
    } catch (error) {
      this.#retryLater(stack, before.failures + 1, error)
    }
  }

  #retryLater(stack: string, failures: number, error: unknown): void {
    const longest = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), MAX_RETRY_MS)
    // Half of it at least: stacks that failed together are not to try again together.
    const delayMs = longest * (0.5 + Math.random() / 2)
    const { message } = toTsstackError(error)
    log.warn('stack could not be repaired', { stack, failures, error })
    this.#states.set(stack, {
      ...this.stateOf(stack),
      failures,
      lastError: message,
      retryAt: new Date(Date.now() + delayMs).toISOString(),
    })
    const timer = setTimeout(() => {
      this.request(stack)
    }, delayMs)
    this.#retries.set(stack, timer.unref())
    this.#tell(stack)
  }

  #tell(stack: string): void {
    for (const listener of this.#listeners) listener(stack)
  }
}
