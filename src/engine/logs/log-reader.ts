/** Reading a container's log, oldest first; with `follow` it goes on as the log grows, through rotations. */
import { open, type FileHandle } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import { logFiles, type LogFile } from './log-file.ts'
import { parseLog, type LogRecord } from './log-format.ts'

/** One read, and so one batch. All readers share the total: a thousand that wait for slow clients get less each. */
const CHUNK_BYTES = 256 * 1024
const MIN_CHUNK_BYTES = 16 * 1024
const TOTAL_CHUNK_BYTES = 16 * 1024 * 1024
let openReaders = 0

function chunkBytes(): number {
  return Math.max(MIN_CHUNK_BYTES, Math.min(CHUNK_BYTES, TOTAL_CHUNK_BYTES / openReaders))
}

const MAX_JOINED_LENGTH = 1 << 20

export interface ReadLogOptions {
  /** Lines from the end; absent: all. */
  readonly tail?: number
  /** RFC 3339 in UTC with nanoseconds, compared as text. */
  readonly since?: string
  readonly until?: string
  /** The log that is being written: go on until `signal` is aborted. */
  readonly follow?: LogFile
  readonly signal?: AbortSignal
}

/** Yields batches of records; the caller's pace is the reader's, so a slow one costs no memory. */
export async function* readLog(
  directory: string,
  options: ReadLogOptions,
): AsyncGenerator<LogRecord[]> {
  const keep = (record: LogRecord): boolean =>
    (options.since === undefined || record.time >= options.since) &&
    (options.until === undefined || record.time <= options.until)
  const cursor = new LogCursor(directory)
  try {
    if (options.tail !== undefined) {
      const last = await lastRecords(cursor, options.tail, keep)
      if (options.follow === undefined) last.push(...cursor.unfinished().filter(keep))
      const tail = options.tail === 0 ? [] : last.slice(-options.tail)
      if (tail.length > 0) yield tail
    } else {
      for (let batch = await cursor.next(); batch !== undefined; batch = await cursor.next())
        yield batch.filter(keep)
    }
    if (options.follow !== undefined) yield* followLog(cursor, options.follow, options.signal)
    const rest = cursor.unfinished().filter(keep)
    if (rest.length > 0) yield rest
  } finally {
    await cursor.close()
  }
}

/** The tail, and up to as much before it: read forward, holding no more than that. */
async function lastRecords(
  cursor: LogCursor,
  count: number,
  keep: (record: LogRecord) => boolean,
): Promise<LogRecord[]> {
  let last: LogRecord[] = []
  for (let batch = await cursor.next(); batch !== undefined; batch = await cursor.next()) {
    last.push(...batch.filter(keep))
    if (last.length > count * 2 + 1000) last = last.slice(-Math.max(count, 1))
  }
  return last
}

async function* followLog(
  cursor: LogCursor,
  log: LogFile,
  signal?: AbortSignal,
): AsyncGenerator<LogRecord[]> {
  let wake: () => void = () => undefined
  const stop = log.onAppend(() => {
    wake()
  })
  const onAbort = (): void => {
    wake()
  }
  signal?.addEventListener('abort', onAbort)
  try {
    for (;;) {
      const grown = new Promise<void>((resolve) => {
        wake = resolve
      })
      for (let batch = await cursor.next(); batch !== undefined; batch = await cursor.next())
        yield batch
      if (signal?.aborted === true) return
      await grown
    }
  } finally {
    stop()
    signal?.removeEventListener('abort', onAbort)
  }
}

/**
 * A position in the chain of log files, through rotations: files are held open from the moment they are known, so that
 * one that gets another name, or none, is read to its end nevertheless.
 */
class LogCursor {
  readonly #directory: string
  /** To be read, oldest first; the first one is being read. */
  #files: OpenFile[] = []
  #rest = ''
  readonly #decoder = new StringDecoder('utf8') // a chunk may end within a character
  readonly #lines = new LineJoiner()

  constructor(directory: string) {
    this.#directory = directory
    openReaders++
  }

  /** The next records; undefined at the end of what has been written so far. */
  async next(): Promise<LogRecord[] | undefined> {
    for (;;) {
      if (this.#files.length === 0) this.#files = await this.#openNewer(undefined)
      const current = this.#files[0]
      if (current === undefined) return undefined
      const isLast = this.#files.length === 1
      const { bytesRead, buffer } = await current.handle.read({
        buffer: Buffer.allocUnsafe(chunkBytes()), // not kept while the caller waits
      })
      if (bytesRead > 0) return this.#parse(this.#decoder.write(buffer.subarray(0, bytesRead)))
      if (isLast) {
        const newer = await this.#openNewer(current.inode)
        if (newer.length === 0) return undefined
        this.#files.push(...newer) // and read on: what was written before the rotation may still have to come
      } else {
        await current.handle.close()
        this.#files.shift()
      }
    }
  }

  /** Parts of lines whose end has not come. */
  unfinished(): LogRecord[] {
    return this.#lines.flush()
  }

  async close(): Promise<void> {
    openReaders--
    for (const { handle } of this.#files.splice(0)) await handle.close()
  }

  /** Opens the files that are younger than the one given; all when there is none, or it is among them no more. */
  async #openNewer(inode: number | undefined): Promise<OpenFile[]> {
    const opened: OpenFile[] = []
    for (const file of logFiles(this.#directory)) {
      const handle = await open(file, 'r').catch(() => undefined) // rotated away just now
      if (handle === undefined) continue
      const { ino } = await handle.stat()
      const isKnown = ino === inode || opened.some((other) => other.inode === ino)
      if (isKnown) await handle.close()
      else opened.unshift({ handle, inode: ino })
      if (ino === inode) break
    }
    return opened
  }

  #parse(text: string): LogRecord[] {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    return lines.flatMap((line) => this.#lines.push(parseLog(line)))
  }
}

interface OpenFile {
  readonly handle: FileHandle
  readonly inode: number
}

/** Puts the pieces of a long line together again; a line without an end is given after a mebibyte. */
class LineJoiner {
  readonly #parts = new Map<LogRecord['stream'], LogRecord>()

  push(record: LogRecord | undefined): LogRecord[] {
    if (record === undefined) return []
    const before = this.#parts.get(record.stream)
    const joined = before === undefined ? record : { ...before, log: before.log + record.log }
    if (joined.log.endsWith('\n') || joined.log.length >= MAX_JOINED_LENGTH) {
      this.#parts.delete(record.stream)
      return [joined]
    }
    this.#parts.set(record.stream, joined)
    return []
  }

  flush(): LogRecord[] {
    const parts = [...this.#parts.values()]
    this.#parts.clear()
    return parts
  }
}
