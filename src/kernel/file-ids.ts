/**
 * Making files as another user. A file gets the file system ids of the thread that makes it (man 2 setfsuid), and in an
 * ID-mapped mount only ids that it maps can have files: the host's root can't.
 */
import { syscall } from './libc.ts'

/** include/uapi/linux/capability.h: two sets of 32 bits, of this thread (pid 0). */
const CAPABILITY_VERSION_3 = 0x2008_0522
const HEADER_BYTES = 8
const SET_BYTES = 12
const INHERITABLE_AT = 8

/** Leaving uid 0 takes the capabilities on files out of the effective set; the permitted set keeps them. */
function raiseFileCapabilities(): void {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(CAPABILITY_VERSION_3)
  const sets = Buffer.alloc(2 * SET_BYTES)
  syscall('capget', header, sets)
  for (const at of [0, SET_BYTES]) sets.copy(sets, at, at + 4, at + INHERITABLE_AT)
  syscall('capset', header, sets)
}

/**
 * Runs synchronous work whose new files belong to `id` and its group of the same number; what root may do to files, it
 * still may. Nothing in it may wait: other work would run with these ids.
 */
export function withFileIds<T>(id: number, work: () => T): T {
  if (id === 0) return work()
  syscall('setfsgid', id)
  syscall('setfsuid', id)
  try {
    raiseFileCapabilities()
    return work()
  } finally {
    syscall('setfsuid', 0)
    syscall('setfsgid', 0)
  }
}
