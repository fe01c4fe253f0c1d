/**
 * Being told of writes into files of some directories, by inotify (man 7 inotify): thousands of directories for one
 * descriptor. Control groups work, too: the kernel tells of every write by a program into one of their files.
 */
import { closeSync, readSync } from 'node:fs'
import { syscall, trySyscall } from './libc.ts'
import { watchReadable } from './poll.ts'

// include/uapi/linux/inotify.h
const IN_NONBLOCK_CLOEXEC = 0o2004000
const IN_MODIFY = 0x2
const IN_Q_OVERFLOW = 0x4000
const IN_ONLYDIR = 0x0100_0000
const EVENT_BYTES = 16
/** Some hundred events at once. */
const BUFFER_BYTES = 64 << 10

/** Called with the file's name; undefined: events were lost, any file may have been written. */
export type WriteListener = (file: string | undefined) => void

export interface FileWrites {
  /**
   * Calls back soon after each write into a file right in the directory.
   * @returns what stops it, safe to call twice; undefined when the kernel follows no more directories
   * (fs.inotify.max_user_watches), or there is none of this path
   */
  watch(directory: string, listener: WriteListener): { close(): void } | undefined
  close(): void
}

/** @throws {SYSCALL_FAILED} when the kernel has no more inotify instances for us */
export function openFileWrites(): FileWrites {
  const fd = syscall('inotify_init1', IN_NONBLOCK_CLOEXEC)
  const listeners = new Map<number, WriteListener>()
  const buffer = Buffer.alloc(BUFFER_BYTES)
  const readable = watchReadable(fd, () => {
    for (const { watch, file } of decodeEvents(buffer.subarray(0, readSync(fd, buffer)))) {
      if (watch !== undefined) listeners.get(watch)?.(file)
      else for (const listener of listeners.values()) listener(undefined)
    }
  })
  let open = true
  return {
    watch(directory, listener) {
      const watch = trySyscall('inotify_add_watch', fd, directory, IN_MODIFY | IN_ONLYDIR)
      if (watch < 0) return undefined
      listeners.set(watch, listener)
      return {
        close() {
          // Watched once more meanwhile, it is the other's, under the same number.
          if (listeners.get(watch) !== listener) return
          listeners.delete(watch)
          trySyscall('inotify_rm_watch', fd, watch)
        },
      }
    },
    close() {
      if (!open) return
      open = false
      readable.close()
      closeSync(fd)
    },
  }
}

/** struct inotify_event: wd, mask, cookie, len, name padded with NUL. */
function* decodeEvents(bytes: Buffer): Generator<{ watch?: number; file?: string }> {
  for (let at = 0; at + EVENT_BYTES <= bytes.length;) {
    const mask = bytes.readUInt32LE(at + 4)
    const nameEnd = at + EVENT_BYTES + bytes.readUInt32LE(at + 12)
    const name = bytes.toString('utf8', at + EVENT_BYTES, nameEnd)
    if ((mask & IN_Q_OVERFLOW) !== 0) yield {}
    else if ((mask & IN_MODIFY) !== 0)
      yield { watch: bytes.readInt32LE(at), file: name.slice(0, name.indexOf('\0')) }
    at = nameEnd
  }
}
