/**
 * From a container's output pipe into its log, losing nothing when the daemon is killed at any instruction.
 *
 * The pipe is a fifo in the container's directory, so that the next daemon finds it again. Output is looked at without
 * taking it (tee), formatted, appended, and only then taken. A small shared page says how far that went:
 *
 *   idle ──▶ WRITING (log size before) ──append──▶ TAKING (bytes; mark := not the first byte) ──readv──▶ idle
 *
 * After a crash in WRITING the log is cut back to its size before, and the same bytes are still in the pipe. After one in
 * TAKING they are in the log. Whether they were also taken says the mark: taking is one readv, whose first byte goes into
 * the shared page and the rest nowhere, and which a signal can't cut since all its bytes are there (man 7 pipe).
 *
 *   shared page   0 phase | 8 log size | 16 bytes | 24 mark | 25 what the mark becomes
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { addressOf, memoryAt, syscall, trySyscall } from '../../kernel/libc.ts'
import { openPipe } from '../../kernel/pipe.ts'
import { Open } from '../../kernel/constants.ts'
import { watchReadable, type Watch } from '../../kernel/poll.ts'
import type { LogFile } from './log-file.ts'
import { formatLog, timestamp, type LogStream } from './log-format.ts'
import { log } from '../../log.ts'

const PIPE_BYTES = 1 << 20
const MAX_LINE_BYTES = 16_384 // as Docker: longer lines are cut into pieces
/** In one turn of the event loop: a flood of short lines must not hold up the daemon for more than some milliseconds. */
const TURN_BYTES = 1 << 16
/** An unfinished line is looked at again after this time, then after twice as long, … */
const FIRST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 320
const FULL_DISK_PAUSE_MS = 1000
/** What `close` takes at most, since somebody may go on writing: twice what fits into the pipe. */
const MAX_FINAL_ROUNDS = (2 * PIPE_BYTES) / TURN_BYTES
const F_SETPIPE_SZ = 1031
const SPLICE_F_NONBLOCK = 2
const PROT_READ_WRITE = 3
const MAP_SHARED = 1
const PAGE = 4096
const LOG_SIZE = 8
const BYTES = 16
const MARK = 24
const MARK_AFTER = 25
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
const buffer = Buffer.allocUnsafeSlow(TURN_BYTES)

function scratch(): readonly [read: number, write: number] {
  if (scratchPipe === undefined) {
    scratchPipe = openPipe(Open.NONBLOCK)
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
  #next: NodeJS.Immediate | undefined
  /** Bytes at the head of the pipe that were shown to onOutput but not yet taken. */
  #shown = 0
  /** Bytes that ever came. */
  #seen = 0
  #pauseMs = FIRST_PAUSE_MS
  #isDiskFull = false
  #closed = false

  /** Opens both ends, so that the pipe lives as long as the daemon and never reports its end. */
  constructor(options: PipeLogOptions) {
    this.#options = options
    const cursorFd = openPage(options.cursor) // first: the one that a full disk refuses
    this.#fd = openSync(options.fifo, Open.RDWR | Open.NONBLOCK | Open.CLOEXEC)
    trySyscall('fcntl', this.#fd, F_SETPIPE_SZ, PIPE_BYTES) // refused beyond the user's quota: then it is smaller
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
    for (let round = 0; round < MAX_FINAL_ROUNDS && this.#pump({ final: true }) > 0;) round++
    this.#closed = true
    this.#watch?.close()
    clearTimeout(this.#timer)
    clearImmediate(this.#next)
    closeSync(this.#fd)
    syscall('munmap', this.#cursorAddress, PAGE)
  }

  #onReadable(): void {
    const before = this.#seen
    const left = this.#pump({ final: false })
    if (this.#closed) return
    if (left === 0) {
      this.#pauseMs = FIRST_PAUSE_MS
      this.#watch ??= watchReadable(this.#fd, () => {
        this.#onReadable()
      })
      return
    }
    // An unfinished line stays in the pipe, which therefore stays readable: look again after a moment.
    this.#watch?.close()
    this.#watch = undefined
    const isNew = this.#seen !== before
    this.#pauseMs = isNew ? FIRST_PAUSE_MS : Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS)
    const pauseMs = this.#isDiskFull ? FULL_DISK_PAUSE_MS : this.#pauseMs
    if (isNew && !this.#isDiskFull)
      this.#next = setImmediate(() => {
        this.#onReadable()
      })
    else
      this.#timer = setTimeout(() => {
        this.#onReadable()
      }, pauseMs).unref()
  }

  /** @returns bytes of an unfinished line left in the pipe */
  #pump({ final }: { readonly final: boolean }): number {
    if (this.#closed) return 0
    const available = this.#peek()
    if (available.length === 0) return 0
    if (available.length > this.#shown) {
      this.#options.onOutput?.(Buffer.from(available.subarray(this.#shown)))
      this.#seen += available.length - this.#shown
      this.#shown = available.length
    }
    const lines = available.lastIndexOf(10) + 1
    const isTooLong = lines === 0 && available.length >= MAX_LINE_BYTES
    const take = lines === 0 && (final || isTooLong) ? wholeCharacters(available) : lines
    if (take > 0 && !this.#log(available.subarray(0, take))) return final ? 0 : available.length
    return final ? take : available.length - take
  }

  /** The head of what is in the pipe, without taking it. */
  #peek(): Buffer {
    const [readEnd, writeEnd] = scratch()
    const copied = trySyscall('tee', this.#fd, writeEnd, TURN_BYTES, SPLICE_F_NONBLOCK)
    if (copied <= 0) return buffer.subarray(0, 0)
    let length = 0
    while (length < copied) length += readSync(readEnd, buffer, length, copied - length, null)
    return buffer.subarray(0, length)
  }

  /** @returns false when the disk is full: then all is as before */
  #log(raw: Buffer): boolean {
    const record = formatLog(raw, this.#options.stream, timestamp())
    this.#cursor.writeDoubleLE(this.#options.log.size, LOG_SIZE)
    this.#enter(Phase.Writing)
    if (!this.#append(record)) {
      this.#enter(Phase.Idle)
      return false
    }
    this.#cursor[MARK_AFTER] = raw[0] ?? 0
    this.#cursor[MARK] = ~(raw[0] ?? 0)
    this.#cursor.writeDoubleLE(raw.length, BYTES)
    this.#enter(Phase.Taking)
    this.#take(raw.length)
    this.#enter(Phase.Idle)
    this.#shown = Math.max(0, this.#shown - raw.length)
    this.#options.log.rotateIfFull()
    return true
  }

  #append(record: Buffer): boolean {
    try {
      this.#options.log.append(record)
      this.#isDiskFull = false
    } catch (error) {
      if (!this.#isDiskFull)
        log.warn('output is not logged for now', { file: this.#options.fifo, error })
      this.#isDiskFull = true // the program waits once its pipe is full, as with any full disk
    }
    return !this.#isDiskFull
  }

  #take(length: number): void {
    const vector = Buffer.alloc(32) // struct iovec[2]
    vector.writeBigUInt64LE(BigInt(this.#cursorAddress + MARK), 0)
    vector.writeBigUInt64LE(1n, 8)
    vector.writeBigUInt64LE(BigInt(addressOf(buffer)), 16)
    vector.writeBigUInt64LE(BigInt(length - 1), 24)
    syscall('readv', this.#fd, vector, 2)
  }

  /**
   * What a phase needs is stored before it begins, and nothing of the phase before is touched until it has: a death in
   * between leaves that one whole.
   */
  #enter(phase: number): void {
    this.#cursor.writeUInt32LE(phase, 0)
  }

  #recover(): void {
    const phase = this.#cursor.readUInt32LE(0)
    if (phase === Phase.Writing) this.#options.log.truncate(this.#cursor.readDoubleLE(LOG_SIZE))
    const length = this.#cursor.readDoubleLE(BYTES)
    const isTaken = this.#cursor[MARK] === this.#cursor[MARK_AFTER]
    // The pipe is empty when it, too, is gone: after a reboot.
    if (phase === Phase.Taking && !isTaken && this.#peek().length >= length) this.#take(length)
    this.#enter(Phase.Idle)
  }
}

/** A page of zeros where there is none yet. Written, not only made long: to touch a hole on a full disk is a SIGBUS. */
function openPage(file: string): number {
  const fd = openSync(file, 'a+', 0o600)
  try {
    const missing = PAGE - fstatSync(fd).size
    if (missing > 0) writeSync(fd, new Uint8Array(missing))
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** The length without a UTF-8 character that is cut at the end (RFC 3629); 1 at least. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back < bytes.length; back++) {
    const byte = bytes[bytes.length - back] ?? 0
    if ((byte & 0xc0) === 0x80) continue // within a character
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return needed > back ? bytes.length - back : bytes.length
  }
  return bytes.length
}
