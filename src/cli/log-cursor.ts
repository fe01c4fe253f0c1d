/** Remembers up to where each container's output has been shown, so that a second reading shows only what is new. */
import type { LogLine } from '../api/types.ts'

export interface LogCursor {
  /** Drops the lines that were there before, and remembers the others. */
  fresh(lines: readonly LogLine[]): readonly LogLine[]
  /** Begins the second reading. */
  rewind(): void
}

interface Position {
  /** Time of the last line shown. Lines of one read share their time. */
  readonly time: string
  /** How many lines of that time have been shown. */
  readonly count: number
}

/** Times are RFC 3339 with nanoseconds in UTC, so that their order is that of their text. */
export function createLogCursor(): LogCursor {
  const shown = new Map<string, Position>()
  let before = new Map<string, Position>()
  let passed = new Map<string, number>()

  const isFresh = ({ container, time }: LogLine): boolean => {
    const limit = before.get(container)
    if (limit === undefined || time > limit.time) return true
    if (time < limit.time) return false
    const count = (passed.get(container) ?? 0) + 1
    passed.set(container, count)
    return count > limit.count
  }

  return {
    fresh: (lines) =>
      lines.filter((line) => {
        if (!isFresh(line)) return false
        const last = shown.get(line.container)
        shown.set(line.container, {
          time: line.time,
          count: last?.time === line.time ? last.count + 1 : 1,
        })
        return true
      }),
    rewind: () => {
      before = new Map(shown)
      passed = new Map()
    },
  }
}
