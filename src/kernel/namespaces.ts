/** Making namespaces and keeping them by a descriptor. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { AT_FDCWD, Clone, HIGHEST_DESCRIPTOR, Open, Prctl } from './constants.ts'
import { reap } from './process.ts'
import { blockSignals, cloneArguments, CLONE_ARGUMENTS_BYTES } from './signal-mask.ts'
import { SyscallList } from './syscall-list.ts'
import { syscall, trySyscall } from './libc.ts'

const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const SIGKILL = 9
const CHILD_SECONDS = 10

/** A range of ids of the host that is 0..length-1 inside. */
export interface IdRange {
  readonly start: number
  readonly length: number
}

/** A line of uid_map: `length` ids, from `inside` on, are those from `outside` on (man 7 user_namespaces). */
export interface IdMapping {
  readonly inside: number
  readonly outside: number
  readonly length: number
}

/**
 * Makes a user namespace whose ids 0..length-1 are the host's start..start+length-1 (man 7 user_namespaces).
 * @returns as `createMappedUserNamespace`
 */
export function createUserNamespace({ start, length }: IdRange): number {
  const map = [{ inside: 0, outside: start, length }]
  return createMappedUserNamespace(map, map)
}

/**
 * Makes a user namespace. A short-lived child owns it until its maps are written from outside; afterwards the
 * descriptor keeps it.
 * @returns the namespace's descriptor, close-on-exec; the caller closes it
 */
export function createMappedUserNamespace(
  uids: readonly IdMapping[],
  gids: readonly IdMapping[],
): number {
  const list = new SyscallList()
  const signals = blockSignals(list)
  const flags = Clone.VM | Clone.NEWUSER | Clone.CLEAR_SIGHAND
  const fork = list.fork('clone3', [cloneArguments(list, flags), CLONE_ARGUMENTS_BYTES])
  // It lives until it is killed, by us or with us; and for a moment, should we end before it has asked for that.
  list.call('prctl', [Prctl.SET_PDEATHSIG, SIGKILL, 0, 0, 0])
  list.call('close_range', [0, HIGHEST_DESCRIPTOR, 0]) // connections and locks of a daemon that ends are to end with it
  list.call('ppoll', [0, 0, list.words([CHILD_SECONDS, 0]), 0, 8]) // struct timespec
  list.call('exit_group', [0])
  list.parent(fork, () => {
    signals.restore()
  })
  try {
    list.runSync()
    const pid = list.forkedPid()
    try {
      writeFileSync(`/proc/${pid}/uid_map`, mapText(uids))
      writeFileSync(`/proc/${pid}/gid_map`, mapText(gids))
      return openSync(`/proc/${pid}/ns/user`, 'r')
    } finally {
      trySyscall('kill', pid, SIGKILL)
      reap(pid, { block: true })
    }
  } finally {
    list.free() // only now: the child lived in it
  }
}

function mapText(map: readonly IdMapping[]): string {
  return map.map(({ inside, outside, length }) => `${inside} ${outside} ${length}\n`).join('')
}

/** A container's network namespace, and an rtnetlink socket that was opened inside it. */
export interface NetworkSandbox {
  readonly netnsFd: number
  readonly netlinkFd: number
  /** Closes both descriptors; the namespace lives on while a process is in it. Safe to call twice. */
  close(): void
}

/**
 * Makes a network namespace, owned by the user namespace given (none: the host's).
 * @throws {SyscallError}
 */
export async function createNetworkSandbox(usernsFd: number | undefined): Promise<NetworkSandbox> {
  return openInChild((list) => {
    if (usernsFd !== undefined) list.call('setns', [usernsFd, Clone.NEWUSER])
    list.call('unshare', [Clone.NEWNET])
  })
}

/**
 * Opens the network namespace of a process, to change what is in it.
 * @throws {SyscallError} ESRCH or ENOENT when the process has ended
 */
export async function openNetworkSandbox(pid: number): Promise<NetworkSandbox> {
  const fd = syscall('openat', AT_FDCWD, `/proc/${String(pid)}/ns/net`, Open.RDONLY | Open.CLOEXEC)
  try {
    return await openInChild((list) => {
      list.call('setns', [fd, Clone.NEWNET])
    })
  } finally {
    closeSync(fd)
  }
}

function openInChild(enter: (list: SyscallList) => void): Promise<NetworkSandbox> {
  return runInChild((list) => {
    enter(list)
    const netlink = list.call('socket', [AF_NETLINK, SOCK_RAW_CLOEXEC, 0])
    const netns = list.call('openat', [
      AT_FDCWD,
      '/proc/self/ns/net',
      Open.RDONLY | Open.CLOEXEC,
      0,
    ])
    return () => sandboxOf(list.result(netns), list.result(netlink))
  })
}

/**
 * Runs calls in a child that shares our descriptor table: it enters namespaces and opens descriptors there, so that the
 * daemon itself never changes its own.
 * @param append - the calls; @returns what gives the result when they have been made
 * @throws {SyscallError} the first that failed
 */
export async function runInChild<T>(append: (list: SyscallList) => () => T): Promise<T> {
  const list = new SyscallList()
  const signals = blockSignals(list)
  const flags = Clone.VM | Clone.VFORK | Clone.FILES | Clone.CLEAR_SIGHAND
  const fork = list.fork('clone3', [cloneArguments(list, flags), CLONE_ARGUMENTS_BYTES])
  const result = append(list)
  list.call('exit_group', [0])
  list.parent(fork, () => {
    signals.restore()
  })
  try {
    try {
      await list.run()
    } finally {
      if (list.forkedPid() > 0) reap(list.forkedPid(), { block: true })
    }
    return result()
  } finally {
    list.free()
  }
}

function sandboxOf(netnsFd: number, netlinkFd: number): NetworkSandbox {
  let open = true
  return {
    netnsFd,
    netlinkFd,
    close() {
      if (!open) return
      open = false
      closeSync(netlinkFd)
      closeSync(netnsFd)
    },
  }
}
