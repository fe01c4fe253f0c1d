/**
 * Reads a directory tree that somebody hostile may be writing to meanwhile, such as what a container has written. Every
 * path is resolved below the root and through no symlink (openat2), and a file is looked at before it is opened for
 * reading, so that neither a swapped link leads out of the tree nor a device or a fifo is ever opened.
 */
import fs from 'node:fs'
import os from 'node:os'
import { TsstackError } from '../../errors.ts'
import { O_PATH, openConfined, RESOLVE, tryOpenConfined } from '../../kernel/file-calls.ts'
import { SyscallError } from '../../kernel/libc.ts'

const CHUNK_BYTES = 256 << 10
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants
const CONFINED = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS

/** What is gone, or is something else now, when a path is resolved a second time. */
const GONE: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV']

const decoder = new TextDecoder('utf-8', { fatal: true })

/** An open file of a tree: the same however often its name is given to another. */
export interface OpenFile {
  readonly fd: number
  readonly stats: fs.Stats
}

/** One directory of a tree while it is open: what names in it are for Node's calls. */
export interface OpenDirectory {
  readonly names: readonly string[]
  /** The path of a name for calls that do not follow links: lstat, readlink, lgetxattr. */
  readonly at: (name: string) => string
  readonly close: () => void
}

/** What `look` finds, or undefined where the file was removed or replaced meanwhile. */
export function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const name = error instanceof SyscallError ? error.errnoName : code
    if (name !== undefined && GONE.includes(name)) return undefined
    throw error
  }
}

/**
 * Where a symlink leads.
 * @throws ENOENT, as of a file that is gone, when it is a symlink no longer (man 2 readlink: EINVAL)
 */
export function readLink(at: string): string {
  try {
    return fs.readlinkSync(at)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EINVAL') throw cause
    throw Object.assign(new Error(`not a symlink any more: ${at}`, { cause }), { code: 'ENOENT' })
  }
}

function decodeName(bytes: Buffer, directory: string): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    const shown = `${directory}/${bytes.toString('latin1')}`
    const hint = 'Rename it: archives of layers hold names in UTF-8'
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `Cannot read file "${shown}": its name is not UTF-8`,
      {
        cause,
        hint,
      },
    )
  }
}

/** Holds a descriptor of the root until it is closed. */
export class TreeReader {
  readonly #rootFd: number
  readonly #resolve: number
  #isOpen = true

  /**
   * @param root - a directory of the host, itself trusted, or a descriptor of one
   * @param options.oneMount - what is mounted below it counts as gone. Default: false
   */
  constructor(root: string | number, { oneMount = false } = {}) {
    const path = typeof root === 'number' ? `/proc/self/fd/${root}/.` : root
    this.#rootFd = fs.openSync(path, O_PATH | O_DIRECTORY)
    this.#resolve = CONFINED | (oneMount ? RESOLVE.NO_XDEV : 0)
  }

  /** The root itself, for the calls that follow no link. */
  get root(): string {
    return `/proc/self/fd/${this.#rootFd}/.`
  }

  /**
   * Opens a directory; the caller closes it.
   * @param directory - relative to the root, '' for the root
   * @returns undefined if there is none (any more)
   * @throws {INVALID_ARGUMENT} a name in it is not UTF-8
   */
  openDirectory(directory: string): OpenDirectory | undefined {
    const fd = unlessGone(() => this.#open(directory || '.', O_PATH | O_DIRECTORY))
    if (fd === undefined) return undefined
    try {
      const names = fs.readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' })
      return {
        names: names.map((name) => decodeName(name, directory)),
        at: (name) => `/proc/self/fd/${fd}/${name}`,
        close: () => {
          fs.closeSync(fd)
        },
      }
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
  }

  /** Opens a directory, as `openDirectory`, while `use` runs. */
  inDirectory<T>(directory: string, use: (open: OpenDirectory) => T): T | undefined {
    const opened = this.openDirectory(directory)
    if (opened === undefined) return undefined
    try {
      return use(opened)
    } finally {
      opened.close()
    }
  }

  /** Whether something else is mounted at a path; never so unless `oneMount` was asked for. */
  isMountPoint(path: string): boolean {
    if ((this.#resolve & RESOLVE.NO_XDEV) === 0) return false
    const how = { flags: O_PATH | O_NOFOLLOW, resolve: this.#resolve }
    const fd = tryOpenConfined(this.#rootFd, path, how)
    if (fd >= 0) fs.closeSync(fd)
    return fd === -os.constants.errno.EXDEV
  }

  /** What is at a path; a symlink is not followed. @returns undefined if there is nothing (any more) */
  find(path: string): fs.Stats | undefined {
    const fd = unlessGone(() => this.#open(path || '.', O_PATH | O_NOFOLLOW))
    if (fd === undefined) return undefined
    try {
      return fs.fstatSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  }

  /** Opens a regular file; the caller closes it. @returns undefined if there is none (any more) */
  openFile(path: string): OpenFile | undefined {
    const location = unlessGone(() => this.#open(path, O_PATH))
    if (location === undefined) return undefined
    try {
      const stats = fs.fstatSync(location)
      if (!stats.isFile()) return undefined
      // By the location: whatever bears the name now, this is the file that was looked at.
      return { fd: fs.openSync(`/proc/self/fd/${location}`, O_RDONLY), stats }
    } finally {
      fs.closeSync(location)
    }
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#isOpen) fs.closeSync(this.#rootFd)
    this.#isOpen = false
  }

  #open(path: string, flags: number): number {
    return openConfined(this.#rootFd, path, { flags, resolve: this.#resolve })
  }
}

/** Exactly `size` bytes from the start of a file: zeros where it has shrunk. Each chunk is a buffer of its own. */
export async function* readExactly(fd: number, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size;) {
    const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - at))
    await fill(fd, chunk, at)
    at += chunk.length
    yield chunk
  }
}

async function fill(fd: number, chunk: Buffer, position: number): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const bytes = await new Promise<number>((resolve, reject) => {
      fs.read(fd, chunk, done, chunk.length - done, position + done, (error, count) => {
        if (error === null) resolve(count)
        else reject(error)
      })
    })
    if (bytes === 0) return // it has shrunk
    done += bytes
  }
}
