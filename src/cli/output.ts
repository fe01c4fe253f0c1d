/**
 * Where the command line writes: results to standard output, everything else (progress, warnings, errors) to standard
 * error. Writes are synchronous: the two stay in order, a slow reader holds us back, and `process.stdout` with its
 * streams is never loaded. A reader that went away (`| head`) ends the process quietly, as SIGPIPE would.
 */
import { fstatSync, writeSync } from 'node:fs'
import type { Stats } from 'node:fs'

const SIGPIPE_EXIT = 141

export interface Output {
  /** Results; no newline is added. */
  readonly write: (text: string) => void
  /** A line of results. */
  readonly line: (text: string) => void
  /** A line on standard error. */
  readonly note: (text: string) => void
  /** Raw standard error; no newline is added. */
  readonly writeError: (text: string) => void
  readonly isTerminal: boolean
  /** Columns of the terminal that results go to; undefined when they go elsewhere, or it has no size (a serial line). */
  readonly width: () => number | undefined
  readonly errorWidth: () => number | undefined
  /** Whether results may be coloured. */
  readonly color: boolean
  readonly errorColor: boolean
}

const pause = new Int32Array(new SharedArrayBuffer(4))

/** Writes all bytes to a descriptor, also when it is a non-blocking pipe that is full. */
export function writeAll(fd: number, data: string | Uint8Array): void {
  let rest: Uint8Array = typeof data === 'string' ? Buffer.from(data) : data
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EPIPE') process.exit(SIGPIPE_EXIT)
      if (code !== 'EAGAIN') throw error
      Atomics.wait(pause, 0, 0, 1)
    }
  }
}

export type AnsiMode = 'auto' | 'always' | 'never'

/** Major number of /dev/null and its like (Documentation/admin-guide/devices.txt of Linux). */
const MEMORY_DEVICES = 1

/** isatty(3). Loading `node:tty` costs 5 ms, which pipes, files and /dev/null do not need. */
export function isTerminal(fd: number): boolean {
  const stat = fstatOrUndefined(fd)
  if (stat?.isCharacterDevice() !== true || stat.rdev >> 8 === MEMORY_DEVICES) return false
  return process.getBuiltinModule('node:tty').isatty(fd)
}

function fstatOrUndefined(fd: number): Stats | undefined {
  try {
    return fstatSync(fd)
  } catch {
    return undefined
  }
}

/** https://no-color.org and FORCE_COLOR; `--ansi` wins over both. */
function mayColor(fd: number, ansi: AnsiMode, env: NodeJS.ProcessEnv): boolean {
  if (ansi !== 'auto') return ansi === 'always'
  if ((env['NO_COLOR'] ?? '') !== '') return false
  const force = env['FORCE_COLOR']
  if (force !== undefined) return force !== '0' && force !== 'false'
  return isTerminal(fd) && env['TERM'] !== 'dumb'
}

export function createOutput(ansi: AnsiMode, env: NodeJS.ProcessEnv): Output {
  return {
    write: (text) => {
      writeAll(1, text)
    },
    line: (text) => {
      writeAll(1, `${text}\n`)
    },
    note: (text) => {
      writeAll(2, `${text}\n`)
    },
    writeError: (text) => {
      writeAll(2, text)
    },
    isTerminal: isTerminal(1),
    width: () => (isTerminal(1) ? process.stdout.columns || undefined : undefined),
    errorWidth: () => (isTerminal(2) ? process.stderr.columns || undefined : undefined),
    color: mayColor(1, ansi, env),
    errorColor: mayColor(2, ansi, env),
  }
}
