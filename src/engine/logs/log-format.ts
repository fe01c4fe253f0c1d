/**
 * The json-file format of Docker's logging driver: one JSON object a line,
 * `{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.678901234Z"}`.
 */

export type LogStream = 'stdout' | 'stderr'

export interface LogRecord {
  /** With its newline; without one it is a part of a longer line. */
  readonly log: string
  readonly stream: LogStream
  /** RFC 3339 with nanoseconds, UTC. */
  readonly time: string
}

// Whatever JSON must escape, but for the newline, and whatever is not ASCII.
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const NEEDS_CARE = /["\\\x00-\x09\x0b-\x1f\x7f-\xff]/

/** The clock of the machine may be set; how far it may be off before it is looked at anew. */
const MAX_DRIFT_MS = 2
let origin = performance.timeOrigin

/** The time of now with nanoseconds. */
export function timestamp(): string {
  let milliseconds = origin + performance.now()
  const wall = Date.now()
  if (Math.abs(wall - milliseconds) > MAX_DRIFT_MS) {
    origin = wall - performance.now()
    milliseconds = wall
  }
  const nanos = Math.floor((milliseconds % 1) * 1e6)
  return `${new Date(milliseconds).toISOString().slice(0, -1)}${String(nanos).padStart(6, '0')}Z`
}

/**
 * Formats raw output as log records. All lines of one call have one time.
 * @param raw complete lines, or one piece of a line that is too long
 */
export function formatLog(raw: Buffer, stream: LogStream, time: string): Buffer {
  const tail = `","stream":"${stream}","time":"${time}"}\n`
  const text = raw.toString('latin1')
  if (NEEDS_CARE.test(text)) return Buffer.from(formatCarefully(raw, stream, time))
  // The usual case, at memory speed: plain ASCII needs no look at the single line.
  const lines = text.replaceAll('\n', `\\n${tail}{"log":"`)
  const open = '{"log":"'
  const whole = text.endsWith('\n') ? open + lines.slice(0, -open.length) : open + lines + tail
  return Buffer.from(whole, 'latin1')
}

function formatCarefully(raw: Buffer, stream: LogStream, time: string): string {
  const parts = raw.toString('utf8').split(/(?<=\n)/)
  return parts
    .map((log) => `${JSON.stringify({ log, stream, time } satisfies LogRecord)}\n`)
    .join('')
}

/** Reads a line of a log file; undefined for one that is damaged. */
export function parseLog(line: string): LogRecord | undefined {
  try {
    const record = JSON.parse(line) as Partial<LogRecord>
    const { log, stream, time } = record
    return log !== undefined && stream !== undefined && time !== undefined
      ? { log, stream, time }
      : undefined
  } catch {
    return undefined
  }
}
