/** Failures that may pass by themselves, and how long to wait for that. */
import { setTimeout as delay } from 'node:timers/promises'
import { TsstackError, type ErrorOptions } from '../errors.ts'

/** A failure that is worth another attempt. */
export class TransientError extends TsstackError {
  /** What the registry asked for (`Retry-After`). */
  readonly retryAfterMs: number | undefined

  constructor(message: string, options: ErrorOptions & { readonly retryAfterMs?: number } = {}) {
    super('UNAVAILABLE', message, options)
    this.retryAfterMs = options.retryAfterMs
  }
}

const MAX_ATTEMPTS = 6
const FIRST_PAUSE_MS = 200
const MAX_PAUSE_MS = 10_000
/** A registry that asks for more than this is not waited for. */
const MAX_RETRY_AFTER_MS = 120_000

export interface RetryOptions {
  readonly signal?: AbortSignal | undefined
  /** In a row that get no further. Default: 6. */
  readonly attempts?: number
  /** Told before each pause. */
  readonly onRetry?: ((error: TransientError, pauseMs: number) => void) | undefined
}

/** Twice as long each time, up to ten seconds, and not all at the same instant. */
function pauseOf(attempt: number, { retryAfterMs }: TransientError): number {
  if (retryAfterMs !== undefined) return retryAfterMs
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), MAX_PAUSE_MS)
  return pause * (0.5 + Math.random() / 2)
}

/**
 * Does work until it succeeds, fails for good, or has failed too often without getting any further.
 * @param work - calls `advanced` when it has got further than before: then attempts are counted anew
 */
export async function withRetries<T>(
  work: (advanced: () => void) => Promise<T>,
  { signal, onRetry, attempts = MAX_ATTEMPTS }: RetryOptions = {},
): Promise<T> {
  let attempt = 0
  for (;;) {
    try {
      return await work(() => {
        attempt = 0
      })
    } catch (error) {
      attempt++
      if (!(error instanceof TransientError) || attempt >= attempts) throw error
      const pauseMs = pauseOf(attempt, error)
      if (pauseMs > MAX_RETRY_AFTER_MS) throw error
      onRetry?.(error, pauseMs)
      await delay(pauseMs, undefined, signal === undefined ? {} : { signal }).catch(
        (cause: unknown) => {
          throw new TsstackError('CANCELLED', 'Cancelled', { cause })
        },
      )
    }
  }
}
