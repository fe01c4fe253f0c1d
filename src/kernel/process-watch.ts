/** Following one process to its end, by pidfd: no polling, no race with a reused pid. */
import { closeSync } from 'node:fs'
import { trySyscall } from './libc.ts'
import { watchReadable } from './poll.ts'
import {
  decodeWaitStatus,
  openPidfd,
  processStartTime,
  reap,
  sendSignal,
  type ExitStatus,
} from './process.ts'

/** include/uapi/linux/pidfd.h: _IOWR(0xFF, 11, struct pidfd_info of 64 bytes), Linux 6.15 for the exit code */
const PIDFD_GET_INFO = 0xc040ff0b
const PIDFD_INFO_EXIT = 8n
const PIDFD_INFO_BYTES = 64
const EXIT_CODE_OFFSET = 60
const ENOTTY = 25
/** All pauses together: a second. */
const LONGEST_REAP_PAUSE_MS = 512

export interface WatchedProcess {
  readonly pid: number
  /** With the pid it names the process for good; see processStartTime. */
  readonly startTime: number
  readonly pidfd: number
  /** undefined: it ended while nobody could learn how (adopted from another daemon, kernel before 6.15). */
  readonly exited: Promise<ExitStatus | undefined>
  /** @returns false when it has already ended */
  signal(signal: number): boolean
}

/** Follows a child; it is reaped when it ends. */
export function watchChild(pid: number): WatchedProcess {
  return watch(pid, openPidfd(pid), () => Promise.resolve(reap(pid)))
}

/**
 * Follows a process that another daemon started. Where that was this process, before it became another program, the
 * process is still a child, and reaped when it ends.
 * @returns undefined when the pid is gone or is another process by now
 */
export function adoptProcess(pid: number, startTime: number): WatchedProcess | undefined {
  const pidfd = trySyscall('pidfd_open', pid, 0)
  if (pidfd < 0) return undefined
  // The descriptor first: from now on the pid can't become another's unseen.
  if (processStartTime(pid) === startTime)
    return watch(pid, pidfd, async () => reap(pid) ?? awaitExitInfo(pidfd))
  closeSync(pidfd)
  return undefined
}

type ExitReader = () => Promise<ExitStatus | undefined>

function watch(pid: number, pidfd: number, onExit: ExitReader): WatchedProcess {
  let ended = false
  const readExit = async (): Promise<ExitStatus | undefined> => {
    await new Promise((resolve) => setImmediate(resolve)) // until the watch has let go of the descriptor
    try {
      return await onExit()
    } finally {
      closeSync(pidfd)
    }
  }
  const exited = new Promise<ExitStatus | undefined>((resolve) => {
    const readable = watchReadable(pidfd, () => {
      if (ended) return
      ended = true
      readable.close()
      resolve(readExit())
    })
  })
  return {
    pid,
    startTime: processStartTime(pid) ?? 0,
    pidfd,
    exited,
    signal: (signal) => !ended && sendSignal(pidfd, signal),
  }
}

/**
 * The exit code is known only when whoever is the parent now has reaped the process; it is readable a moment before.
 */
async function awaitExitInfo(pidfd: number): Promise<ExitStatus | undefined> {
  for (let pauseMs = 1; pauseMs <= LONGEST_REAP_PAUSE_MS; pauseMs *= 2) {
    const status = exitInfo(pidfd)
    if (status !== undefined || !knowsExits(pidfd)) return status
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  return exitInfo(pidfd)
}

/** Whether this kernel can tell. */
function knowsExits(pidfd: number): boolean {
  const info = Buffer.alloc(PIDFD_INFO_BYTES)
  return trySyscall('ioctl', pidfd, PIDFD_GET_INFO, info) !== -ENOTTY
}

/** How a process ended, from a pidfd that was open meanwhile; undefined while it runs, and before Linux 6.15. */
export function exitInfo(pidfd: number): ExitStatus | undefined {
  const info = Buffer.alloc(PIDFD_INFO_BYTES)
  info.writeBigUInt64LE(PIDFD_INFO_EXIT, 0)
  const result = trySyscall('ioctl', pidfd, PIDFD_GET_INFO, info)
  const isKnown = result === 0 && (info.readBigUInt64LE(0) & PIDFD_INFO_EXIT) !== 0n
  return isKnown ? decodeWaitStatus(info.readInt32LE(EXIT_CODE_OFFSET)) : undefined
}
