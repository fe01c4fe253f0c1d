/** Points in time as `--since` and `--until` take them. */
import { parseDurationMs } from './duration.ts'

/**
 * `10m` is ten minutes before now; a number is seconds since 1970; else RFC 3339, or a date.
 * @returns milliseconds since 1970; NaN for what is none of these
 */
export function parseMoment(text: string, now: number): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  if (!/^[\d.]+(ns|us|ms|s|m|h|d)/.test(text)) return Date.parse(text)
  try {
    return now - parseDurationMs(text)
  } catch {
    return NaN
  }
}
