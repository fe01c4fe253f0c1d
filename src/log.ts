/** Structured log lines: a constant event name and fields, one JSON object a line, on standard error. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

const ORDER: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']
let threshold: LogLevel = 'info'
let output = (line: string): void => {
  process.stderr.write(line)
}

/** Lines below this level are dropped. Default: `info`. */
export function setLogLevel(level: LogLevel): void {
  threshold = level
}

/** Where lines go, each with its end. Default: standard error. */
export function setLogOutput(write: (line: string) => void): void {
  output = write
}

function write(level: LogLevel, event: string, fields: LogFields): void {
  if (ORDER.indexOf(level) < ORDER.indexOf(threshold)) return
  const plain = Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      value instanceof Error ? value.message : value,
    ]),
  )
  output(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...plain })}\n`)
}

/** The event is constant text (`container exited`); what varies goes into the fields. */
export const log = {
  debug: (event: string, fields: LogFields = {}): void => {
    write('debug', event, fields)
  },
  info: (event: string, fields: LogFields = {}): void => {
    write('info', event, fields)
  },
  warn: (event: string, fields: LogFields = {}): void => {
    write('warn', event, fields)
  },
  error: (event: string, fields: LogFields = {}): void => {
    write('error', event, fields)
  },
}
