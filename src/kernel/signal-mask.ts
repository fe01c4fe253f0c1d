import { readFileSync } from 'node:fs'
import { SIG_SETMASK } from './constants.ts'
import type { Block, SyscallList } from './syscall-list.ts'

const MASK_BYTES = 8 // _NSIG / 8, what the kernel expects

/** Around a clone that shares memory no signal may run a handler in the child: block all, put back afterwards. */
export interface BlockedSignals {
  /** Appends what the parent does after the clone. */
  restore(): void
  /** Appends what the child does before execve: an empty mask and default actions, as a program expects them. */
  clear(): void
}

const SIGACTION_BYTES = 32 // struct sigaction of the kernel; all zero is SIG_DFL

let ignored: readonly number[] | undefined

/**
 * The signals that this process ignores: Node SIGPIPE, V8 SIGXFSZ, and what it inherited (nohup: SIGHUP). execve keeps them
 * ignored, and CLONE_CLEAR_SIGHAND resets handlers only.
 */
function ignoredSignals(): readonly number[] {
  if (ignored !== undefined) return ignored
  const mask = BigInt(
    `0x${/^SigIgn:\t([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0'}`,
  )
  ignored = Array.from({ length: 64 }, (_, index) => index + 1).filter(
    (signal) => (mask & (1n << BigInt(signal - 1))) !== 0n,
  )
  return ignored
}

/** Appends the blocking of all signals to a list. */
export function blockSignals(list: SyscallList): BlockedSignals {
  const all: Block = list.bytes(new Uint8Array(MASK_BYTES).fill(0xff))
  const none: Block = list.bytes(new Uint8Array(MASK_BYTES))
  const before: Block = list.bytes(new Uint8Array(MASK_BYTES))
  list.call('rt_sigprocmask', [SIG_SETMASK, all, before, MASK_BYTES])
  return {
    restore: () => {
      list.call('rt_sigprocmask', [SIG_SETMASK, before, 0, MASK_BYTES])
    },
    clear: () => {
      const byDefault = list.bytes(new Uint8Array(SIGACTION_BYTES))
      for (const signal of ignoredSignals())
        list.call('rt_sigaction', [signal, byDefault, 0, MASK_BYTES])
      list.call('rt_sigprocmask', [SIG_SETMASK, none, 0, MASK_BYTES])
    },
  }
}

/** The argument of clone3 (man 2 clone): flags only; no stack, the child shares its parent's and does not touch it. */
export function cloneArguments(list: SyscallList, flags: number, exitSignal = 0): Block {
  return list.words([flags, 0, 0, 0, exitSignal, 0, 0, 0, 0, 0, 0])
}
export const CLONE_ARGUMENTS_BYTES = 88
