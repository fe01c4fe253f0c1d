import { SIG_SETMASK } from './constants.ts'
import type { Block, SyscallList } from './syscall-list.ts'

const MASK_BYTES = 8 // _NSIG / 8, what the kernel expects

/** Around a clone that shares memory no signal may run a handler in the child: block all, put back afterwards. */
export interface BlockedSignals {
  /** Appends what the parent does after the clone. */
  restore(): void
  /** Appends what the child does before execve: an empty mask, as a program expects it. */
  clear(): void
}

/** Appends the blocking of all signals to a list. */
export function blockSignals(list: SyscallList): BlockedSignals {
  const all: Block = list.bytes(new Uint8Array(MASK_BYTES).fill(0xff))
  const none: Block = list.bytes(new Uint8Array(MASK_BYTES))
  const before: Block = list.bytes(new Uint8Array(MASK_BYTES))
  list.call('rt_sigprocmask', [SIG_SETMASK, all, before, MASK_BYTES])
  return {
    restore: () => { list.call('rt_sigprocmask', [SIG_SETMASK, before, 0, MASK_BYTES]) },
    clear: () => { list.call('rt_sigprocmask', [SIG_SETMASK, none, 0, MASK_BYTES]) },
  }
}

/** The argument of clone3 (man 2 clone): flags only; no stack, the child shares its parent's and does not touch it. */
export function cloneArguments(list: SyscallList, flags: number, exitSignal = 0): Block {
  return list.words([flags, 0, 0, 0, exitSignal, 0, 0, 0, 0, 0, 0])
}
export const CLONE_ARGUMENTS_BYTES = 88
