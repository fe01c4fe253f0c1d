/**
 * Making files as another user without giving up one's own powers. In an ID-mapped mount only ids of its mapping can own
 * what is made (EOVERFLOW for others, Linux 5.12): the host's root has none there, a container's root has.
 */
import { Prctl } from './constants.ts'
import { syscall } from './libc.ts'

/** include/uapi/linux/securebits.h: capabilities stay when the file system ids change (man 7 capabilities). */
const SECBIT_NO_SETUID_FIXUP = 1 << 2

/**
 * Runs `work` with this thread's file system ids set (man 2 setfsuid), capabilities kept. It must be synchronous: what runs
 * later has the daemon's own ids.
 * @param id - host id, of user and group
 * @throws {SYSCALL_FAILED} and what `work` throws
 */
export function withFileOwner<T>(id: number, work: () => T): T {
  if (id === 0) return work()
  syscall('prctl', Prctl.SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
  try {
    syscall('setfsgid', id)
    syscall('setfsuid', id)
    return work()
  } finally {
    syscall('setfsuid', 0)
    syscall('setfsgid', 0)
    syscall('prctl', Prctl.SET_SECUREBITS, 0, 0, 0, 0)
  }
}
