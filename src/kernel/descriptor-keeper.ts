/**
 * The keeper: one process beside the daemon that holds descriptors for the time when there is no daemon. What would be
 * lost with the last descriptor stays: output in a pipe whose container has ended, a terminal (its programs would be
 * hung up on), a pidfd that knows how a container ended. The next daemon takes them back (man 2 pidfd_getfd).
 *
 *   daemon ──socketpair: one byte with one descriptor a message──▶ keeper: recvmsg, again and again
 *
 * The first message has none: by it the daemon says that it has written down where the keeper is. Without it the keeper ends
 * with the daemon, for nobody would find it.
 *
 * It is a copy of the daemon that has given back all memory but the call routine, its list and one thread's data. It needs no
 * program file, answers to no signal but SIGKILL, and numbers what it holds 1, 2, 3, … (0 is its socket).
 */
import { closeSync, readFileSync } from 'node:fs'
import { Clone, HIGHEST_DESCRIPTOR, Prctl } from './constants.ts'
import {
  addressOf,
  keepAlive,
  syscall,
  SyscallError,
  threadDataAddress,
  trySyscall,
} from './libc.ts'
import { openPidfd, processStartTime, reap, sendSignal } from './process.ts'
import { blockSignals, cloneArguments, CLONE_ARGUMENTS_BYTES } from './signal-mask.ts'
import { routineAddress, SyscallList } from './syscall-list.ts'

const AF_UNIX = 1
const SOCK_SEQPACKET_CLOEXEC = 5 | 0o2000000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const CMSG_BYTES = 24 // struct cmsghdr with one descriptor, padded
const MSGHDR_BYTES = 56
const SIGKILL = 9
const EBADF = 9
/** Room for some three thousand mappings. */
const LIST_BYTES = 256 * 1024
/** Users' half of the address space; what lies above can't be unmapped. */
const USER_SPACE_END = 0x7fff_ffff_f000

/** What the next daemon needs to find it. */
export interface KeeperIdentity {
  readonly pid: number
  readonly startTime: number
}

export interface DescriptorKeeper {
  readonly identity: KeeperIdentity
  /** Its identity is written down: from now on it outlives this process. Call once, before `keep`. */
  settle(): void
  /** @returns the number by which it can be taken back; undefined when the descriptor has just been closed */
  keep(fd: number): number | undefined
  /** How many it holds, those of ended containers included: it can't let go of single ones. */
  readonly count: number
  /** Ends it, and with it all that only it held. Safe to call twice. */
  close(): void
}

/** Starts a keeper that holds nothing, and ends with this process until it is settled. @throws {SyscallError} */
export function startKeeper(): DescriptorKeeper {
  const pair = Buffer.alloc(8)
  syscall('socketpair', AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0, pair)
  const [ours, theirs] = [pair.readInt32LE(0), pair.readInt32LE(4)]
  const pid = forkKeeper(theirs)
  closeSync(theirs)
  let count = 0
  let open = true
  return {
    identity: { pid, startTime: processStartTime(pid) ?? 0 },
    get count() {
      return count
    },
    settle() {
      syscall('write', ours, Buffer.alloc(1), 1)
    },
    keep(fd) {
      return sendDescriptor(ours, fd) ? ++count : undefined
    },
    close() {
      if (!open) return
      open = false
      closeSync(ours)
      trySyscall('kill', pid, SIGKILL)
      reap(pid, { block: true })
    },
  }
}

function forkKeeper(socket: number): number {
  const list = new SyscallList()
  // The kernel itself writes to the thread's data when it has interrupted it (Documentation/userspace-api/rseq.rst).
  const needed = [list.reserve(LIST_BYTES), routineAddress(), threadDataAddress()]
  const signals = blockSignals(list)
  const fork = list.fork('clone3', [
    cloneArguments(list, Clone.CLEAR_SIGHAND),
    CLONE_ARGUMENTS_BYTES,
  ])
  list.call('setsid', [])
  list.call('prctl', [Prctl.SET_NAME, 'tsstack-keeper', 0, 0, 0])
  list.call('dup3', [socket, 0, 0])
  list.call('close_range', [1, HIGHEST_DESCRIPTOR, 0])
  for (const [start, length] of mappingsWithout(needed))
    list.call('munmap', [start, length], { ignoreError: true })
  const byte = list.bytes(new Uint8Array(8))
  const payload = list.words([byte, 8]) // struct iovec
  const control = list.bytes(new Uint8Array(CMSG_BYTES))
  const message = list.words([0, 0, payload, 1, control, CMSG_BYTES, 0]) // struct msghdr
  list.call('read', [0, byte, 1]) // by recvmsg the kernel would write into the message that there is no descriptor
  list.call('write', [0, byte, 1]) // EPIPE, and the end of it, where the daemon went without a word
  list.repeat('recvmsg', [0, message, 0])
  list.call('ppoll', [0, 0, 0, 0, 8]) // the daemon is gone: keep on holding
  list.parent(fork, () => {
    signals.restore()
  })
  try {
    list.runSync()
    return list.forkedPid()
  } finally {
    list.free() // ours: the keeper has a copy
  }
}

/** All that is mapped, but for the mappings that hold one of the addresses. */
function mappingsWithout(addresses: readonly number[]): [start: number, length: number][] {
  return readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .flatMap((line): [number, number][] => {
      const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? []
      const [start, end] = [parseInt(from, 16), parseInt(to, 16)]
      const isNeeded = addresses.some((address) => address >= start && address < end)
      return Number.isNaN(start) || isNeeded || end > USER_SPACE_END ? [] : [[start, end - start]]
    })
}

/** man 3 cmsg, man 7 unix: one byte with one descriptor. @returns false when there is no such descriptor */
function sendDescriptor(socket: number, fd: number): boolean {
  const byte = Buffer.alloc(8)
  const vector = Buffer.alloc(16)
  vector.writeBigUInt64LE(BigInt(addressOf(byte)), 0)
  vector.writeBigUInt64LE(1n, 8)
  const control = Buffer.alloc(CMSG_BYTES)
  control.writeBigUInt64LE(20n, 0)
  control.writeInt32LE(SOL_SOCKET, 8)
  control.writeInt32LE(SCM_RIGHTS, 12)
  control.writeInt32LE(fd, 16)
  const message = Buffer.alloc(MSGHDR_BYTES)
  message.writeBigUInt64LE(BigInt(addressOf(vector)), 16)
  message.writeBigUInt64LE(1n, 24)
  message.writeBigUInt64LE(BigInt(addressOf(control)), 32)
  message.writeBigUInt64LE(BigInt(CMSG_BYTES), 40)
  const sent = trySyscall('sendmsg', socket, message, 0)
  keepAlive(byte, vector, control)
  if (sent < 0 && sent !== -EBADF) throw new SyscallError('sendmsg', -sent, 'keeper')
  return sent >= 0
}

/** The keeper of a daemon that is gone. */
export interface FoundKeeper {
  /** @returns a copy of a descriptor that it holds, close-on-exec; undefined when it has none of that number */
  take(number: number): number | undefined
  /** Ends it. */
  close(): void
}

/** @returns undefined when it is not there any more */
export function findKeeper({ pid, startTime }: KeeperIdentity): FoundKeeper | undefined {
  if (processStartTime(pid) !== startTime) return undefined
  const pidfd = openPidfd(pid)
  return {
    take(number) {
      const fd = trySyscall('pidfd_getfd', pidfd, number, 0)
      return fd < 0 ? undefined : fd
    },
    close() {
      sendSignal(pidfd, SIGKILL)
      closeSync(pidfd)
      reap(pid, { block: true }) // ours, where the last daemon was this process
    },
  }
}
