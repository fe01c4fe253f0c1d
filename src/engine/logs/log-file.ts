/**
 * A container's log on disk, bounded:
 *
 *   <directory>/json.log      being written
 *   <directory>/json.log.1    the one before, and so on; the oldest is dropped
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'

export interface LogBounds {
  /** Of one file; a file may be larger by one write. */
  readonly maxBytes: number
  readonly maxFiles: number
}

/** The path of a log file, by age. */
export function logPath(directory: string, age: number): string {
  return path.join(directory, age === 0 ? 'json.log' : `json.log.${age}`)
}

/** All files of a log, oldest first. */
export function logFiles(directory: string): string[] {
  const files: string[] = []
  for (let age = 0; existsSync(logPath(directory, age)); age++)
    files.unshift(logPath(directory, age))
  return files
}

/** Appends to a log and rotates it. */
export class LogFile {
  readonly #directory: string
  #bounds: LogBounds
  #fd: number
  #size: number
  readonly #readers = new Set<() => void>()

  constructor(directory: string, bounds: LogBounds) {
    this.#directory = directory
    this.#bounds = bounds
    this.#fd = openSync(logPath(directory, 0), 'a', 0o640)
    this.#size = fstatSync(this.#fd).size
  }

  get size(): number {
    return this.#size
  }

  set bounds(bounds: LogBounds) {
    this.#bounds = bounds
  }

  append(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length;) offset += writeSync(this.#fd, bytes, offset)
    this.#size += bytes.length
    for (const wake of this.#readers) wake()
  }

  /** Calls back after each append, until the returned function is called. */
  onAppend(wake: () => void): () => void {
    this.#readers.add(wake)
    return () => {
      this.#readers.delete(wake)
    }
  }

  /** Takes back what was appended after the file had that size: a write that a crash cut short. */
  truncate(size: number): void {
    if (size >= this.#size) return
    ftruncateSync(this.#fd, size)
    this.#size = size
  }

  /** Starts a new file when this one is full. */
  rotateIfFull(): void {
    if (this.#size < this.#bounds.maxBytes) return
    closeSync(this.#fd)
    const oldest = Math.max(1, this.#bounds.maxFiles) - 1
    rmSync(logPath(this.#directory, oldest), { force: true })
    for (let age = oldest - 1; age >= 0; age--) {
      if (existsSync(logPath(this.#directory, age)))
        renameSync(logPath(this.#directory, age), logPath(this.#directory, age + 1))
    }
    this.#fd = openSync(logPath(this.#directory, 0), 'a', 0o640)
    this.#size = fstatSync(this.#fd).size
  }

  close(): void {
    closeSync(this.#fd)
  }
}
