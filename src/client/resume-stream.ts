/**
 * Streams that are followed outlive their daemon: what one that leaves, or is renewed in place, has not sent any more is
 * asked of the next one. Nothing comes twice, and nothing is left out.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { TsstackError } from '../errors.ts'

/** How long the next daemon may take to listen. */
const NEXT_DAEMON_MS = 5000
const RETRY_MS = 50

export interface FollowedStream<T> {
  /** Opens it; from a time on (RFC 3339), or as it was asked for first. */
  readonly open: (since: string | undefined) => AsyncGenerator<readonly T[], void>
  /** Items of one source come in the order of their time. */
  readonly sourceOf: (item: T) => string
  readonly signal: AbortSignal | undefined
}

/** @throws {UNAVAILABLE} when there is no next daemon; what the daemon answers */
export async function* resumeStream<T extends { readonly time: string }>(
  stream: FollowedStream<T>,
): AsyncGenerator<readonly T[], void> {
  const position = new Position<T>(stream.sourceOf)
  let deadline: number | undefined
  for (;;) {
    try {
      for await (const batch of newItems(stream, position)) {
        deadline = undefined
        yield batch
      }
    } catch (error) {
      const isGone = error instanceof TsstackError && error.code === 'UNAVAILABLE'
      // The first time there is no next daemon to wait for.
      if (!isGone || !position.hasBegun || Date.now() > (deadline ?? Infinity)) throw error
      deadline ??= Date.now() + NEXT_DAEMON_MS
    }
    if (stream.signal?.aborted === true) return
    position.rewind()
    await delay(RETRY_MS)
  }
}

/** What one daemon sends, without what has been given before. */
async function* newItems<T extends { readonly time: string }>(
  { open }: FollowedStream<T>,
  position: Position<T>,
): AsyncGenerator<readonly T[], void> {
  for await (const batch of open(position.since())) {
    const fresh = batch.filter((item) => position.advance(item))
    if (fresh.length > 0) yield fresh
  }
}

interface Mark {
  readonly time: string
  /** Items of that very time that have been given. */
  count: number
  /** How many of them come again. */
  repeated: number
}

/** How far each source has come. */
class Position<T extends { readonly time: string }> {
  readonly #marks = new Map<string, Mark>()
  readonly #sourceOf: (item: T) => string
  readonly #openedAt = new Date().toISOString()
  hasBegun = false

  constructor(sourceOf: (item: T) => string) {
    this.#sourceOf = sourceOf
  }

  /** From where on the source that is furthest behind has to be read again; undefined at the beginning. */
  since(): string | undefined {
    const times = [...this.#marks.values()].map(({ time }) => time)
    return times.toSorted()[0] ?? (this.hasBegun ? this.#openedAt : undefined)
  }

  /** The stream begins anew at `since()`. */
  rewind(): void {
    this.hasBegun = true
    for (const mark of this.#marks.values()) mark.repeated = mark.count
  }

  /** @returns false for what has been given before */
  advance(item: T): boolean {
    this.hasBegun = true
    const source = this.#sourceOf(item)
    const mark = this.#marks.get(source)
    if (mark === undefined || item.time > mark.time) {
      this.#marks.set(source, { time: item.time, count: 1, repeated: 0 })
      return true
    }
    if (item.time < mark.time) return mark.repeated === 0
    if (mark.repeated > 0) {
      mark.repeated--
      return false
    }
    mark.count++
    return true
  }
}
