/**
 * Detached mounts: made with the mount API of Linux 5.2, kept by a descriptor, attached later in the container's own
 * mount namespace. Nothing here appears in the host's.
 */
import { closeSync } from 'node:fs'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_RECURSIVE,
  FsConfig,
  MountAttribute,
  OPEN_TREE_CLONE,
  Open,
} from './constants.ts'
import { SyscallError, syscall, trySyscall, trySyscallAsync } from './libc.ts'

const FSOPEN_CLOEXEC = 1
const FSMOUNT_CLOEXEC = 1
const MAX_REASONS = 8
const MAX_REASON_BYTES = 1024

/** An option of a file system: `true` is a flag without a value; several values are given one after the other. */
export type FsOptions = readonly (readonly [name: string, value: string | true])[]

/**
 * Makes a new instance of a file system, not attached anywhere (man 2 fsopen, fsconfig, fsmount).
 * @param attributes bits of MountAttribute
 * @returns the mount's descriptor, close-on-exec
 * @throws {SyscallError} naming the option that was refused
 */
export function mountFileSystem(type: string, options: FsOptions, attributes = 0): number {
  const context = syscall('fsopen', type, FSOPEN_CLOEXEC)
  try {
    configure(context, type, options)
    const created = trySyscall('fsconfig', context, FsConfig.CREATE, 0, 0, 0)
    if (created < 0) throw new SyscallError('fsconfig', -created, type)
    return syscall('fsmount', context, FSMOUNT_CLOEXEC, attributes)
  } finally {
    closeSync(context)
  }
}

/**
 * The same for a file system that is mounted over a network: it waits on another thread, for minutes if need be.
 * @throws {SyscallError} with what the kernel says of its reasons
 */
export async function mountRemoteFileSystem(
  type: string,
  options: FsOptions,
  attributes = 0,
): Promise<number> {
  const context = syscall('fsopen', type, FSOPEN_CLOEXEC)
  try {
    configure(context, type, options)
    const created = await trySyscallAsync('fsconfig', context, FsConfig.CREATE, 0, 0, 0)
    if (created < 0) throw refusal(context, -created, type)
    return syscall('fsmount', context, FSMOUNT_CLOEXEC, attributes)
  } finally {
    closeSync(context)
  }
}

function configure(context: number, type: string, options: FsOptions): void {
  for (const [name, value] of options) {
    const result =
      value === true
        ? trySyscall('fsconfig', context, FsConfig.SET_FLAG, name, 0, 0)
        : trySyscall('fsconfig', context, FsConfig.SET_STRING, name, value, 0)
    if (result >= 0) continue
    // Passwords are options, too.
    const shown = value === true || /pass|cred|key/i.test(name) ? name : `${name}=${value}`
    throw refusal(context, -result, `${type}: ${shown}`)
  }
}

/** The kernel leaves its reasons in the context, a line each (man 2 fsopen: "Message retrieval interface"). */
function refusal(context: number, errno: number, target: string): SyscallError {
  const reasons: string[] = []
  const line = Buffer.alloc(MAX_REASON_BYTES)
  for (let count = 0; count < MAX_REASONS; count++) {
    const length = trySyscall('read', context, line, line.length)
    if (length <= 0) break
    reasons.push(
      line
        .toString('utf8', 0, length)
        .replace(/^[a-z] /, '')
        .trim(),
    )
  }
  return new SyscallError('fsconfig', errno, [target, ...reasons].join(': '))
}

/**
 * A detached copy of a part of the host's mount tree (man 2 open_tree): what a bind mount shows.
 * @returns the mount's descriptor, close-on-exec
 */
export function cloneTree(path: string, options: { readonly recursive: boolean }): number {
  const flags = OPEN_TREE_CLONE | Open.CLOEXEC | (options.recursive ? AT_RECURSIVE : 0)
  return syscall('open_tree', AT_FDCWD, path, flags)
}

/**
 * A detached copy of what a descriptor shows.
 * @throws {SyscallError} EINVAL for what is of a detached mount, before Linux 6.15
 */
export function cloneMount(fd: number): number {
  return syscall('open_tree', fd, '', OPEN_TREE_CLONE | Open.CLOEXEC | AT_EMPTY_PATH)
}

export interface MountChange {
  /** Bits of MountAttribute to set. */
  readonly set?: number
  readonly clear?: number
  /** MS_PRIVATE, MS_SLAVE, MS_SHARED. */
  readonly propagation?: number
  /** Shows ids through this user namespace (Linux 5.12). */
  readonly usernsFd?: number
  readonly recursive?: boolean
  /** Of a mount below it: its path. */
  readonly at?: string
}

/**
 * Changes a detached mount (man 2 mount_setattr).
 * @throws {SyscallError} EINVAL where the file system can't be ID-mapped
 */
export function changeMount(fd: number, change: MountChange): void {
  const attributes = Buffer.alloc(32) // struct mount_attr: set, clear, propagation, userns_fd
  const idmap = change.usernsFd === undefined ? 0 : MountAttribute.IDMAP
  attributes.writeBigUInt64LE(BigInt((change.set ?? 0) | idmap), 0)
  attributes.writeBigUInt64LE(BigInt(change.clear ?? 0), 8)
  attributes.writeBigUInt64LE(BigInt(change.propagation ?? 0), 16)
  attributes.writeBigUInt64LE(BigInt(change.usernsFd ?? 0), 24)
  const { at = '', recursive = false } = change
  const flags = (at === '' ? AT_EMPTY_PATH : 0) | (recursive ? AT_RECURSIVE : 0)
  syscall('mount_setattr', fd, at, flags, attributes, attributes.length)
}
