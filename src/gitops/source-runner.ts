/**
 * Follows one source: a pass at each interval, and at once when somebody asks. One at a time; while a pass waits for
 * health, the repository is still looked at, and something newer ends the wait.
 */
import { toTsstackError } from '../errors.ts'
import { log } from '../log.ts'
import { findRevision } from '../sources/git-checkout.ts'
import { progressOf, type GitopsEngine } from './engine.ts'
import { nextChangeAt } from './freeze-windows.ts'
import { gitAccess } from './git-access.ts'
import { reconcileSource } from './reconcile-source.ts'
import type { SourceRecord } from './source-records.ts'
import { LONGEST_TIMER_MS } from '../timer-limit.ts'

/** After failures that may pass by themselves the interval doubles, up to this many times itself. */
const MAX_BACK_OFF = 8
/** Of the interval, either way: many sources of one server do not ask it all at once. */
const JITTER = 0.1
/** Between passes that webhooks ask for: a storm of them is one each. */
const HOOK_PAUSE_MS = 2000
/** A longer one would be none (of Node.js): a source of long intervals that fails would be looked at without end. */

/** What a pass is asked for beyond its usual. */
interface Asked {
  /** Also what is held, and what runs already. */
  readonly force: boolean
  /** Newer images, whatever their interval says. */
  readonly scan: boolean
}

export class SourceRunner {
  readonly #engine: GitopsEngine
  readonly #name: string
  readonly #onEnded: () => void
  readonly #closing = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #again: Asked | undefined
  /** Somebody has asked, and nobody has looked since. */
  #poked = false
  /** As `#poked`, by a webhook, and no pass has begun since. */
  #hooked = false
  #begunAt = 0
  #onPoke: (() => void) | undefined
  #nextAt: number | undefined

  /** @param onEnded - told when a pass has ended */
  constructor(engine: GitopsEngine, name: string, onEnded: () => void) {
    this.#engine = engine
    this.#name = name
    this.#onEnded = onEnded
  }

  get isIdle(): boolean {
    return this.#running === undefined
  }

  /** When it looks again by itself; undefined while it does, and when it is suspended. */
  get nextAt(): Date | undefined {
    return this.#nextAt === undefined ? undefined : new Date(this.#nextAt)
  }

  /** Resolves when a pass that began after this call has ended. Throws nothing. */
  async sync({ force = false, scan = false }: Partial<Asked> = {}): Promise<void> {
    if (this.#closing.signal.aborted) return
    if (this.#running === undefined) {
      await this.#begin({ force, scan })
      return
    }
    const again = this.#again
    this.#again = { force: force || again?.force === true, scan: scan || again?.scan === true }
    this.#poked = true
    this.#onPoke?.()
    await this.#running
    await this.#running
  }

  /** Somebody says that there is something new. Many at a time are one. */
  poke(): void {
    if (this.#closing.signal.aborted) return
    this.#hooked = true
    if (this.#running === undefined) this.#scheduleHooked()
    this.#poked = true
    this.#onPoke?.()
  }

  /** Ends its waits; resolves when it does nothing any more. */
  async close(): Promise<void> {
    this.#closing.abort()
    clearTimeout(this.#timer)
    await this.#running
  }

  #begin(asked: Asked): Promise<void> {
    clearTimeout(this.#timer)
    this.#nextAt = undefined
    this.#hooked = false
    this.#begunAt = Date.now()
    const ended = this.#pass(asked)
      .catch((error: unknown) => {
        log.error('pass failed', { source: this.#name, error })
      })
      .then(() => {
        this.#running = undefined
        this.#onEnded()
        this.#goOn()
      })
    this.#running = ended
    return ended
  }

  #goOn(): void {
    const again = this.#again
    this.#again = undefined
    this.#poked = false
    if (this.#closing.signal.aborted) return
    const source = this.#source()
    if (source === undefined) return
    if (again !== undefined) void this.#begin(again)
    else if (this.#hooked && !source.suspended) this.#scheduleHooked()
    else this.#schedule(source)
  }

  #scheduleHooked(): void {
    this.#passIn(Math.max(0, this.#begunAt + HOOK_PAUSE_MS - Date.now()))
  }

  #schedule(source: SourceRecord): void {
    const { intervalSeconds, suspended } = source
    if (suspended) return
    const { failures, reason } = progressOf(this.#engine, this.#name)
    // A window may be shorter than the interval.
    const opens = reason === 'OutsideWindow' ? nextChangeAt(new Date(), source) : undefined
    const wait = opens === undefined ? Infinity : Math.max(0, opens.getTime() - Date.now())
    const backOff = Math.min(2 ** Math.max(0, failures - 1), MAX_BACK_OFF)
    const delay = intervalSeconds * 1000 * backOff * (1 + JITTER * (2 * Math.random() - 1))
    this.#passIn(Math.min(delay, wait, LONGEST_TIMER_MS))
  }

  #passIn(delayMs: number): void {
    clearTimeout(this.#timer)
    this.#nextAt = Date.now() + delayMs
    this.#timer = setTimeout(() => {
      void this.sync()
    }, delayMs)
  }

  async #pass({ force, scan }: Asked): Promise<void> {
    const source = this.#source()
    if (source === undefined || (source.suspended && !force)) return
    await reconcileSource(this.#engine, {
      source,
      force,
      scan,
      untilNews: (commit) => this.#untilNews(source, commit),
    })
  }

  #source(): SourceRecord | undefined {
    return this.#engine.records.sources.get(this.#name)
  }

  #untilNews(
    source: SourceRecord,
    commit: string,
  ): { readonly signal: AbortSignal; readonly stop: () => void } {
    const news = new AbortController()
    const stopped = new AbortController()
    const look = async (): Promise<void> => {
      for (;;) {
        await this.#pokeOrInterval(source.intervalSeconds * 1000, stopped.signal)
        if (stopped.signal.aborted) return
        const isNews = await this.#engine.looks.run(() => isNewer(source, commit))
        if (isNews) news.abort()
      }
    }
    void look().catch((error: unknown) => {
      log.debug('no news', { source: this.#name, error })
    })
    return {
      signal: AbortSignal.any([news.signal, this.#closing.signal]),
      stop: () => {
        stopped.abort()
      },
    }
  }

  #pokeOrInterval(delayMs: number, stopped: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#poked = false
        this.#onPoke = undefined
        stopped.removeEventListener('abort', done)
        resolve()
      }
      // What was asked for before the wait began counts, too.
      const timer = setTimeout(done, this.#poked ? 0 : delayMs)
      this.#poked = false
      this.#onPoke = done
      stopped.addEventListener('abort', done)
    })
  }
}

async function isNewer(source: SourceRecord, commit: string): Promise<boolean> {
  try {
    const { reference, env, options } = gitAccess(source)
    return (await findRevision(reference, env, options)).commit !== commit
  } catch (error) {
    log.debug('cannot look for news', { source: source.name, error: toTsstackError(error) })
    return false
  }
}
