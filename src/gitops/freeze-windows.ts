/**
 * When changes may be made. A window is the five fields of cron(5) that say when it opens, and a duration: `0 2 * * * 3h`,
 * each night from two to five; in the daemon's time zone, or in one that is named before it: `TZ=Europe/Berlin 0 2 …`.
 */
import { Cron } from 'croner'
import type { GitSource } from '../api/gitops-types.ts'
import { TsstackError } from '../errors.ts'
import { parseDurationMs } from '../spec/duration.ts'

export interface Window {
  readonly opens: Cron
  readonly lengthMs: number
}

const FORM = /^(?:TZ=(\S+)\s+)?((?:\S+\s+){4}\S+)\s+(\S+)$/
const MAX_LENGTH_MS = 366 * 86_400_000

/** @throws {INVALID_ARGUMENT} */
export function parseWindow(text: string): Window {
  const [, timezone, pattern = '', duration = ''] = FORM.exec(text.trim()) ?? []
  try {
    const lengthMs = parseDurationMs(duration)
    if (pattern === '' || !(lengthMs > 0) || lengthMs > MAX_LENGTH_MS) throw new Error('no window')
    const zone = timezone === undefined ? {} : { timezone }
    const opens = new Cron(pattern, { paused: true, ...zone })
    opens.nextRun() // only now is the zone looked up
    return { opens, lengthMs }
  } catch (error) {
    throw new TsstackError('INVALID_ARGUMENT', `Cannot read window "${text}"`, {
      cause: error,
      hint: 'Write five fields of cron and a duration: "0 2 * * 1-5 3h"',
    })
  }
}

/** Whether a window that opened at or before this time has not closed yet. */
export function isOpenAt(now: Date, { opens, lengthMs }: Window): boolean {
  const next = opens.nextRun(new Date(now.getTime() - lengthMs))
  return next !== null && next.getTime() <= now.getTime()
}

/** Within one of the windows, where there are any, and within no freeze. */
export function mayChangeAt(
  now: Date,
  { windows, freezes }: Pick<GitSource, 'windows' | 'freezes'>,
): boolean {
  const isOpen = (text: string): boolean => isOpenAt(now, parseWindow(text))
  return (windows.length === 0 || windows.some(isOpen)) && !freezes.some(isOpen)
}

/** Windows and freezes that go on for ever one after the other are not looked through to their end. */
const MAX_STEPS = 100

/** The first time, from now on, at which changes may be made; undefined when there is none to be foreseen. */
export function nextChangeAt(
  now: Date,
  source: Pick<GitSource, 'windows' | 'freezes'>,
): Date | undefined {
  const windows = source.windows.map(parseWindow)
  const freezes = source.freezes.map(parseWindow)
  let at = now
  for (let step = 0; step < MAX_STEPS; step++) {
    if (mayChangeAt(at, source)) return at
    const opening = windows.map(({ opens }) => opens.nextRun(at)?.getTime() ?? Infinity)
    const thawing = freezes.flatMap((freeze) => closingOf(at, freeze) ?? [])
    const next = Math.min(...opening, ...thawing)
    if (!Number.isFinite(next)) return undefined
    at = new Date(next)
  }
  return undefined
}

/** When a window closes that is open; of several openings that overlap, the first. */
function closingOf(at: Date, window: Window): number | undefined {
  if (!isOpenAt(at, window)) return undefined
  const opened = window.opens.nextRun(new Date(at.getTime() - window.lengthMs))
  return opened === null ? undefined : opened.getTime() + window.lengthMs
}
