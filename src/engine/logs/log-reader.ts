/** Reading a container's log, oldest first; with `follow` it goes on as the log grows, through rotations. */
import { open, type FileHandle } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import { statSync } from 'node:fs'
import { logFiles, logPath, type LogFile } from './log-file.ts'
import { parseLog, type LogRecord } from './log-format.ts'

const CHUNK_BYTES = 256 * 1024

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
      if (last.length > 0) yield last
    } else {
      for (let batch = await cursor.next(); batch !== undefined; batch = await cursor.next())
        yield batch.filter(keep)
    }
    if (options.follow !== undefined) yield* followLog(cursor, options.follow, options.signal)
  } finally {
    await cursor.close()
  }
}

/** The tail by reading forward, holding no more than twice what is asked for. */
async function lastRecords(
  cursor: LogCursor,
  count: number,
  keep: (record: LogRecord) => boolean,
): Promise<LogRecord[]> {
  let last: LogRecord[] = []
  for (let batch = await cursor.next(); batch !== undefined; batch = await cursor.next()) {
    last.push(...batch.filter(keep))
    if (last.length > count * 2 + 1000) last = last.slice(-count)
  }
  return count === 0 ? [] : last.slice(-count)
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

/** A position in the chain of log files. */
class LogCursor {
  readonly #directory: string
  readonly #pending: string[]
  #file: FileHandle | undefined
  #rest = ''
  readonly #decoder = new StringDecoder('utf8') // a chunk may end within a character
  readonly #buffer = Buffer.allocUnsafe(CHUNK_BYTES)

  constructor(directory: string) {
    this.#directory = directory
    this.#pending = logFiles(directory)
  }

  /** The next records; undefined at the end of what has been written so far. */
  async next(): Promise<LogRecord[] | undefined> {
    for (;;) {
      this.#file ??= await this.#openNext()
      if (this.#file === undefined) return undefined
      const { bytesRead } = await this.#file.read(this.#buffer, 0, CHUNK_BYTES)
      if (bytesRead > 0)
        return this.#parse(this.#decoder.write(this.#buffer.subarray(0, bytesRead)))
      if (!(await this.#isRotated(this.#file))) return undefined
      await this.#file.close()
      this.#file = undefined
    }
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  async #openNext(): Promise<FileHandle | undefined> {
    const file = this.#pending.shift() ?? logPath(this.#directory, 0)
    return open(file, 'r').catch(() => undefined) // not written yet, or just rotated away
  }

  async #isRotated(file: FileHandle): Promise<boolean> {
    if (this.#pending.length > 0) return true
    try {
      return (await file.stat()).ino !== statSync(logPath(this.#directory, 0)).ino
    } catch {
      return false
    }
  }

  #parse(text: string): LogRecord[] {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    return lines.flatMap((line) => parseLog(line) ?? [])
  }
}
