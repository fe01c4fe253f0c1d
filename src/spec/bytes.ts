/** Byte sizes as Compose has them: `1.5g`, `64 MB`, `1kib`; all units are powers of 1024 (go-units `RAMInBytes`). */
import { TsstackError } from '../errors.ts'

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
}
const SIZE = /^(\d+(?:\.\d+)?|\.\d+) ?([kmgtp]?)(?:i?b)?$/i

/**
 * A size in bytes; `-1` and other negative integers are given back as they are (unlimited, where that has a meaning).
 * @throws {INVALID_ARGUMENT} when it is no size
 */
export function parseBytes(text: string): number {
  const bytes = tryParseBytes(text)
  if (bytes === undefined) {
    throw new TsstackError('INVALID_ARGUMENT', `Cannot read the size "${text}": not a byte size`, {
      hint: 'Write a number and a unit, such as 512m or 1.5g.',
    })
  }
  return bytes
}

/** As `parseBytes()`, undefined when it is no size. */
export function tryParseBytes(text: string): number | undefined {
  if (/^-\d{1,15}$/.test(text)) return Number(text)
  const match = text.length > 32 ? null : SIZE.exec(text)
  if (match === null) return undefined
  const bytes = Math.trunc(Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 1))
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
