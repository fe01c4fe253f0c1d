/**
 * From a container's terminal into its log, line by line. A terminal does not make its program wait as a full pipe does
 * (whoever looks at it wants to see on): what the disk has no room for waits here, and the oldest of it goes.
 */
import type { LogFile } from './log-file.ts'
import { formatLog, timestamp } from './log-format.ts'
import { log } from '../../log.ts'

/** Longer lines are cut into pieces, as Docker does. */
const MAX_LINE_BYTES = 16_384
const MAX_WAITING_BYTES = 1 << 20
const FULL_DISK_PAUSE_MS = 1000

export class TerminalLog {
  readonly #log: LogFile
  #pending = Buffer.alloc(0)
  /** Set while the disk is full. */
  #retry: NodeJS.Timeout | undefined

  constructor(logFile: LogFile) {
    this.#log = logFile
  }

  add(bytes: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, bytes]).subarray(-MAX_WAITING_BYTES)
    if (this.#retry === undefined) this.#writeLines()
  }

  /** Writes what there is of the last line, too. */
  close(): void {
    clearTimeout(this.#retry)
    this.#write(this.#pending.length)
    clearTimeout(this.#retry)
  }

  #writeLines(): void {
    const { length } = this.#pending
    this.#write(length >= MAX_LINE_BYTES ? length : this.#pending.lastIndexOf(10) + 1)
  }

  #write(length: number): void {
    if (length === 0) return
    try {
      this.#log.append(formatLog(this.#pending.subarray(0, length), 'stdout', timestamp()))
      this.#log.rotateIfFull()
      this.#retry = undefined
    } catch (error) {
      if (this.#retry === undefined)
        log.warn('output of a terminal is not logged for now', { error })
      this.#retry = setTimeout(() => {
        this.#writeLines()
      }, FULL_DISK_PAUSE_MS).unref()
      return
    }
    this.#pending = Buffer.from(this.#pending.subarray(length))
  }
}
