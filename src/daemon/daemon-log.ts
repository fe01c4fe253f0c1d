/**
 * The daemon's own log file: standard output and error lead into it, so that what Node itself says of a crash is there, too.
 *
 *   daemon.log  daemon.log.1  daemon.log.2  daemon.log.3      newest first; the oldest goes
 */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import { syscall } from '../kernel/libc.ts'
import { setLogOutput } from '../log.ts'

const KEPT_FILES = 3
const STDOUT = 1
const STDERR = 2

export interface DaemonLog {
  /** Opens the file of that name again: another program may have moved it away (man 8 logrotate). */
  reopen(): void
  /** From how many bytes on a new file is begun. */
  limit(maxBytes: number): void
}

/** @throws {Error} of the system when the file can't be written */
export function openDaemonLog(file: string, maxBytes: number): DaemonLog {
  let bound = maxBytes
  let size = openAsOutput(file)
  setLogOutput((line) => {
    size += writeSync(STDERR, line)
    if (size < bound) return
    shiftFiles(file)
    size = openAsOutput(file)
  })
  return {
    reopen() {
      size = openAsOutput(file)
    },
    limit(bytes) {
      bound = bytes
    },
  }
}

/** @returns how much is in it */
function openAsOutput(file: string): number {
  const fd = openSync(file, 'a', 0o600)
  try {
    for (const output of [STDOUT, STDERR]) syscall('dup3', fd, output, 0)
    return fstatSync(fd).size
  } finally {
    closeSync(fd)
  }
}

function shiftFiles(file: string): void {
  for (let number = KEPT_FILES; number > 0; number--) {
    try {
      renameSync(number === 1 ? file : `${file}.${number - 1}`, `${file}.${number}`)
    } catch {
      // not that many yet
    }
  }
}
