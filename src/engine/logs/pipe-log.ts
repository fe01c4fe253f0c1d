/**
 * From a container's output pipe into its log, losing nothing when the daemon is killed at any instruction.
 *
 * The pipe is a fifo in the container's directory, so that the next daemon finds it again. Output is looked at without
 * taking it (tee), formatted, appended, and only then taken. A small shared page says how far that went:
 *
 *   idle ──▶ WRITING (log size before, bytes) ──append──▶ TAKING ──splice to /dev/null──▶ idle
 *
 * After a crash in WRITING the log is cut back to its size before, and the same bytes are still in the pipe. After one in
 * TAKING they are in the log; whether they were also taken shows in the pipe: it holds fewer bytes, or others.
 */
import { closeSync, ftruncateSync, openSync, readSync } from 'node:fs'
import { memoryAt, syscall, trySyscall } from '../../kernel/libc.ts'
import { Open } from '../../kernel/constants.ts'
import { watchReadable, type Watch } from '../../kernel/poll.ts'
import type { LogFile } from './log-file.ts'
import { formatLog, timestamp, type LogStream } from './log-format.ts'

const PIPE_BYTES = 1 << 20
const MAX_LINE_BYTES = 16_384 // as Docker: longer lines are cut into pieces
const PARTIAL_LINE_DELAY_MS = 20
const F_SETPIPE_SZ = 1031
const SPLICE_F_NONBLOCK = 2
const EAGAIN = 11
const PROT_READ_WRITE = 3
const MAP_SHARED = 1
const PAGE = 4096
const Phase = { Idle: 0, Writing: 1, Taking: 2 } as const

export interface PipeLogOptions {
  readonly fifo: string
  /** Path of the page that survives the daemon. */
  readonly cursor: string
  readonly stream: LogStream
  readonly log: LogFile
  /** Called with output as it comes, before it is logged. */
  readonly onOutput?: (bytes: Buffer) => void
}

/** Shared by all pipes of the process: what is read goes on in the same turn of the event loop. */
let scratchPipe: readonly [read: number, write: number] | undefined
let devNull: number | undefined
const buffer = Buffer.allocUnsafeSlow(PIPE_BYTES)

function scratch(): readonly [read: number, write: number] {
  if (scratchPipe === undefined) {
    const pair = Buffer.alloc(8)
    syscall('pipe2', pair, Open.CLOEXEC | Open.NONBLOCK)
    scratchPipe = [pair.readInt32LE(0), pair.readInt32LE(4)]
    trySyscall('fcntl', scratchPipe[1], F_SETPIPE_SZ, PIPE_BYTES)
  }
  return scratchPipe
}

export class PipeLog {
  readonly #options: PipeLogOptions
  readonly #fd: number
  readonly #cursor: Buffer
  readonly #cursorAddress: number
  #watch: Watch | undefined
  #timer: NodeJS.Timeout | undefined
  /** Bytes at the head of the pipe that were shown to onOutput but not yet taken. */
  #shown = 0
  #closed = false

  /** Opens both ends, so that the pipe lives as long as the daemon and never reports its end. */
  constructor(options: PipeLogOptions) {
    this.#options = options
    this.#fd = openSync(options.fifo, Open.RDWR | Open.NONBLOCK | Open.CLOEXEC)
    trySyscall('fcntl', this.#fd, F_SETPIPE_SZ, PIPE_BYTES) // refused beyond the user's quota: then it is smaller
    const cursorFd = openSync(options.cursor, 'a+', 0o600)
    ftruncateSync(cursorFd, PAGE)
    this.#cursorAddress = syscall('mmap', 0, PAGE, PROT_READ_WRITE, MAP_SHARED, cursorFd, 0)
    closeSync(cursorFd)
    this.#cursor = memoryAt(this.#cursorAddress, PAGE)
    this.#recover()
    this.#onReadable()
  }

  /** The pipe, read and written. */
  get descriptor(): number {
    return this.#fd
  }

  /** Takes what is left, an unfinished last line included, and lets go. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    while (this.#pump({ final: true }) > 0);
    this.#closed = true
    this.#watch?.close()
    clearTimeout(this.#timer)
    closeSync(this.#fd)
    syscall('munmap', this.#cursorAddress, PAGE)
  }

  #onReadable(): void {
    const left = this.#pump({ final: false })
    if (this.#closed) return
    if (left === 0) {
      this.#watch ??= watchReadable(this.#fd, () => {
        this.#onReadable()
      })
      return
    }
    // An unfinished line stays in the pipe, which therefore stays readable: look again after a moment.
    this.#watch?.close()
    this.#watch = undefined
    this.#timer = setTimeout(() => {
      this.#onReadable()
    }, PARTIAL_LINE_DELAY_MS)
    this.#timer.unref()
  }

  /** @returns bytes of an unfinished line left in the pipe */
  #pump({ final }: { readonly final: boolean }): number {
    if (this.#closed) return 0
    const available = this.#peek()
    if (available.length === 0) return 0
    if (available.length > this.#shown) {
      this.#options.onOutput?.(Buffer.from(available.subarray(this.#shown)))
      this.#shown = available.length
    }
    const lastNewline = available.lastIndexOf(10)
    const isTooLong = lastNewline < 0 && available.length >= MAX_LINE_BYTES
    const take = final || isTooLong ? available.length : lastNewline + 1
    if (take > 0) this.#log(available.subarray(0, take))
    return final ? take : available.length - take
  }

  /** What is in the pipe, without taking it. */
  #peek(): Buffer {
    const [readEnd, writeEnd] = scratch()
    const copied = trySyscall('tee', this.#fd, writeEnd, PIPE_BYTES, SPLICE_F_NONBLOCK)
    if (copied <= 0) return buffer.subarray(0, 0)
    let length = 0
    while (length < copied) length += readSync(readEnd, buffer, length, copied - length, null)
    return buffer.subarray(0, length)
  }

  #log(raw: Buffer): void {
    const { log, stream } = this.#options
    const record = formatLog(raw, stream, timestamp())
    this.#mark(Phase.Writing, log.size, raw.length)
    log.append(record)
    this.#mark(Phase.Taking, log.size, raw.length)
    this.#take(raw.length)
    this.#mark(Phase.Idle, 0, 0)
    this.#shown = Math.max(0, this.#shown - raw.length)
    log.rotateIfFull()
  }

  #take(length: number): void {
    devNull ??= openSync('/dev/null', 'w')
    for (let left = length; left > 0;) {
      const moved = trySyscall('splice', this.#fd, 0, devNull, 0, left, SPLICE_F_NONBLOCK)
      if (moved === -EAGAIN || moved === 0) return
      if (moved < 0) throw new RangeError(`splice: errno ${-moved}`)
      left -= moved
    }
  }

  #mark(phase: number, logSize: number, length: number): void {
    this.#cursor.writeDoubleLE(logSize, 8)
    this.#cursor.writeDoubleLE(length, 16)
    this.#cursor.writeUInt32LE(phase, 0) // last: it makes the other two valid
  }

  #recover(): void {
    const phase = this.#cursor.readUInt32LE(0)
    const logSize = this.#cursor.readDoubleLE(8)
    const length = this.#cursor.readDoubleLE(16)
    if (phase === Phase.Writing) this.#options.log.truncate(logSize)
    // The window between the two steps is a few microseconds; full pipes refill, so fewer bytes prove that they were taken.
    if (phase === Phase.Taking && this.#peek().length >= length) this.#take(length)
    this.#mark(Phase.Idle, 0, 0)
  }
}
