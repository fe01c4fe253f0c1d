/** Durations as Compose has them (`1m30s`, `1.5h`, `1d2h`) and as Go prints them, which is the canonical form. */
import { TsstackError } from '../errors.ts'

const NANOS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
  d: 24 * 3600e9,
  w: 7 * 24 * 3600e9,
}
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)/y
/** What 63 bits of nanoseconds hold: 292 years. */
const MAX_NANOS = 2 ** 63

/**
 * A duration in nanoseconds (exact to 104 days, then to the next float).
 * @throws {INVALID_ARGUMENT} when it is no duration
 */
export function parseDurationNs(text: string): number {
  const nanos = tryParseDurationNs(text)
  if (nanos === undefined) {
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot read the duration "${text}": not a duration`,
      {
        hint: 'Write numbers with units, such as 30s or 1m30s.',
      },
    )
  }
  return nanos
}

/**
 * A duration in milliseconds, fractions kept.
 * @throws {INVALID_ARGUMENT} when it is no duration
 */
export function parseDurationMs(text: string): number {
  return parseDurationNs(text) / 1e6
}

/** As `parseDurationNs()`, undefined when it is no duration. */
export function tryParseDurationNs(text: string): number | undefined {
  const negative = text.startsWith('-')
  const body = negative || text.startsWith('+') ? text.slice(1) : text
  if (body === '0') return 0
  if (body === '' || body.length > 64) return undefined
  let nanos = 0
  PART.lastIndex = 0
  while (PART.lastIndex < body.length) {
    const match = PART.exec(body)
    if (match === null) return undefined
    nanos += Number(match[1]) * (NANOS[match[2] ?? ''] ?? NaN)
  }
  const rounded = Math.round(nanos)
  if (!(rounded < MAX_NANOS)) return undefined
  return negative ? -rounded : rounded
}

/** The canonical form: `1m30s`, `26h0m0s`, `1.5s`, `100ms`, `0s`. */
export function formatDuration(nanos: number): string {
  if (nanos === 0) return '0s'
  if (nanos < 0) return `-${formatDuration(-nanos)}`
  if (nanos < 1e3) return `${String(nanos)}ns`
  if (nanos < 1e6) return `${String(nanos / 1e3)}µs`
  if (nanos < 1e9) return `${String(nanos / 1e6)}ms`
  const wholeSeconds = Math.floor(nanos / 1e9)
  const fraction = String(nanos % 1e9)
    .padStart(9, '0')
    .replace(/0+$/, '')
  const seconds = `${String(wholeSeconds % 60)}${fraction === '' ? '' : `.${fraction}`}s`
  const minutes = Math.floor(wholeSeconds / 60)
  if (minutes === 0) return seconds
  const hours = Math.floor(minutes / 60)
  return `${hours === 0 ? '' : `${String(hours)}h`}${String(minutes % 60)}m${seconds}`
}
