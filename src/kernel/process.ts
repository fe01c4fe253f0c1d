/** Processes: waiting, signalling, telling one from a later one with the same pid. */
import { readdirSync, readFileSync } from 'node:fs'
import { Prctl, WAIT_ALL, WNOHANG } from './constants.ts'
import { syscall, trySyscall } from './libc.ts'

/**
 * Makes this process's memory unreadable for others, so that a child that still shares it, seen from inside a
 * container, can be neither traced nor opened through /proc (CVE-2019-5736's way in). Call it first of all.
 */
export function forbidDumping(): void {
  syscall('prctl', Prctl.SET_DUMPABLE, 0, 0, 0, 0)
}

export interface ExitStatus {
  /** Exit code; 128 + signal when a signal ended it, as shells and Docker have it. */
  readonly exitCode: number
  readonly signal: number
}

/** Decodes a wait status (man 2 wait4). */
export function decodeWaitStatus(status: number): ExitStatus {
  const signal = status & 0x7f
  return { exitCode: signal === 0 ? (status >> 8) & 0xff : 128 + signal, signal }
}

/**
 * Reaps a child.
 * @returns undefined when it still runs (only without `block`) or is not our child
 */
export function reap(
  pid: number,
  options: { readonly block?: boolean } = {},
): ExitStatus | undefined {
  const status = Buffer.alloc(4)
  const reaped = trySyscall(
    'wait4',
    pid,
    status,
    WAIT_ALL | (options.block === true ? 0 : WNOHANG),
    0,
  )
  return reaped === pid ? decodeWaitStatus(status.readInt32LE(0)) : undefined
}

/** A descriptor of a process (man 2 pidfd_open), close-on-exec; readable when it has exited. */
export function openPidfd(pid: number): number {
  return syscall('pidfd_open', pid, 0)
}

/** @returns false when the process is gone */
export function sendSignal(pidfd: number, signal: number): boolean {
  return trySyscall('pidfd_send_signal', pidfd, signal, 0, 0) === 0
}

/**
 * Start time of a process in clock ticks since boot, field 22 of /proc/PID/stat: with the pid it names a process for
 * good. undefined when there is no such process or it is a zombie.
 */
export function processStartTime(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : Number(fields[19])
  } catch {
    return undefined
  }
}

/** The children of a process, ended ones included, as long as nobody has reaped them (man 5 proc). */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      const text = readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').trim()
      return text === '' ? [] : text.split(' ').map(Number)
    } catch {
      return [] // the thread has just ended
    }
  })
}
