/**
 * A container's log on disk, bounded:
 *
 *   <directory>/json.log      being written
 *   <directory>/json.log.1    the one before, and so on; the oldest is dropped
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
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

/** The ages of a log's files, youngest first. A rotation that was cut short leaves one out. */
function logAges(directory: string): number[] {
  const ages = namesIn(directory).flatMap((name) => {
    const [found, age = '0'] = /^json\.log(?:\.([1-9]\d*))?$/.exec(name) ?? []
    return found === undefined ? [] : [Number(age)]
  })
  return ages.sort((a, b) => a - b)
}

/** None where the container is being removed at this moment. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** All files of a log, youngest first: opened in this order a rotation in between can show one twice, but hide none. */
export function logFiles(directory: string): string[] {
  return logAges(directory).map((age) => logPath(directory, age))
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

  /** @throws {Error} when the disk is full; nothing of it stays in the file then */
  append(bytes: Uint8Array): void {
    try {
      for (let offset = 0; offset < bytes.length;) offset += writeSync(this.#fd, bytes, offset)
    } catch (error) {
      ftruncateSync(this.#fd, this.#size)
      throw error
    }
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

  /** Starts a new file when this one is full. Where the disk has no room for one this one goes on. */
  rotateIfFull(): void {
    if (this.#size < this.#bounds.maxBytes) return
    const next = path.join(this.#directory, 'json.log.next')
    const fd = openIfRoom(next)
    if (fd === undefined) return
    const maxFiles = Math.max(1, this.#bounds.maxFiles)
    const ages = logAges(this.#directory)
    // Where a crash has left a gap the files beyond it have moved already.
    const gap = ages.findIndex((age, index) => age !== index)
    const moving = ages.slice(0, gap === -1 ? ages.length : gap).reverse()
    for (const age of ages.filter((candidate) => candidate >= maxFiles)) this.#drop(age)
    for (const age of moving.filter((candidate) => candidate < maxFiles)) {
      if (age === maxFiles - 1) this.#drop(age)
      else renameSync(logPath(this.#directory, age), logPath(this.#directory, age + 1))
    }
    renameSync(next, logPath(this.#directory, 0))
    closeSync(this.#fd)
    this.#fd = fd
    this.#size = 0
  }

  #drop(age: number): void {
    rmSync(logPath(this.#directory, age), { force: true })
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** An empty file. */
function openIfRoom(file: string): number | undefined {
  try {
    rmSync(file, { force: true }) // of a rotation that was cut short
    return openSync(file, 'a', 0o640)
  } catch {
    return undefined
  }
}
