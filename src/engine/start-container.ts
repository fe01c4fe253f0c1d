/**
 * Starting a container: everything that has to happen in its process, as one list of system calls (docs/decisions/0001). The outer leg joins cgroups and given namespaces, then the user namespace; the inner one is pid 1 of the
 * container: mounts, pivot_root, hostname, limits, execve. See two-legs.ts.
 */
import {
  AT_FDCWD,
  Clone,
  MNT_DETACH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MountFlag,
  OPEN_TREE_CLONE,
  Open,
} from '../kernel/constants.ts'
import type { Entry, SyscallList } from '../kernel/syscall-list.ts'
import { appendBecomeRoot, appendWrite, type ProcessSpec } from './process-spec.ts'
import { runTwoLegs } from './two-legs.ts'

/** A namespace to enter instead of making a new one; kind is the CLONE_NEW… flag. */
export interface JoinedNamespace {
  readonly flag: number
  readonly fd: number
}

/** A detached mount and the place in the root where it goes, both by descriptor. */
export interface Attachment {
  readonly mountFd: number
  readonly targetFd: number
}

export interface LateAttachment {
  readonly mountFd: number
  readonly path: string
}

/** A file system that only a process in the container's namespaces can make. */
export interface InnerMount {
  readonly type: 'proc' | 'sysfs' | 'mqueue' | 'cgroup' | 'cgroup2'
  /** Where: a location in the root by descriptor, or a path after pivot_root. */
  readonly target: number | string
  readonly flags: number
  readonly options?: string
  readonly ignoreError?: boolean
}

/** A single file out of the container's own tmpfs, put at a place in the root. */
export interface PlacedFile {
  readonly name: string
  readonly targetFd: number
}

export interface StartRequest {
  /** Files into which the process writes "0" to join its cgroups, before anything else. */
  readonly cgroupJoinFiles: readonly string[]
  readonly oomScoreAdj?: number
  /** Entered as the host's root, before the user namespace. */
  readonly join: readonly JoinedNamespace[]
  /** Absent: the host's. */
  readonly usernsFd?: number
  /** CLONE_NEW… flags of the namespaces that are the container's own; CLONE_NEWNS always is. */
  readonly newNamespaces: number
  readonly rootFd: number
  /** A directory of the root, by descriptor, that carries the trees with single files for a moment. */
  readonly stageFd: number
  /** In order: parents before what is mounted below them. */
  readonly attachments: readonly Attachment[]
  /** Attached by path after pivot_root: what lies below an inner mount. */
  readonly lateAttachments: readonly LateAttachment[]
  readonly innerMounts: readonly InnerMount[]
  /** Attached last: what a stack has in the place of a part of /proc or /sys. */
  readonly covers: readonly LateAttachment[]
  /** tmpfs trees with files to place. */
  readonly files: readonly { readonly treeFd: number; readonly placed: readonly PlacedFile[] }[]
  /** Hidden below an empty read-only file or directory. */
  readonly maskedPaths: readonly string[]
  readonly readOnlyPaths: readonly string[]
  readonly hostname?: string
  readonly domainname?: string
  readonly sysctls: Readonly<Record<string, string>>
  readonly process: ProcessSpec
}

/**
 * Runs the container's first process.
 * @returns its pid, as a child of this process
 * @throws {SyscallError} naming the call that failed inside, {FAILED_PRECONDITION} with exit code 126 or 127 when the program can't be executed
 */
export async function startContainer(request: StartRequest): Promise<number> {
  return runTwoLegs({
    outer: (list) => {
      appendOuterLeg(list, request)
    },
    newNamespaces: Clone.NEWNS | request.newNamespaces,
    inner: (list) => {
      if (request.usernsFd !== undefined) appendBecomeRoot(list)
      appendMounts(list, request)
      appendPivot(list, request)
      appendIdentity(list, request)
    },
    process: request.process,
  })
}

/** Control groups, then namespaces, the user namespace last. */
export function appendOuterLeg(list: SyscallList, request: StartRequest): void {
  for (const file of request.cgroupJoinFiles) appendWrite(list, file, '0', { ignoreError: false })
  if (request.oomScoreAdj !== undefined) {
    appendWrite(list, '/proc/self/oom_score_adj', String(request.oomScoreAdj), {
      ignoreError: true,
    })
  }
  for (const { flag, fd } of request.join) list.call('setns', [fd, flag])
  if (request.usernsFd !== undefined)
    list.call('setns', [request.usernsFd, Clone.NEWUSER], { target: 'user namespace' })
}

/** What of a start goes where in the container's mount namespace. */
export type PlacedMounts = Pick<
  StartRequest,
  'rootFd' | 'stageFd' | 'attachments' | 'files' | 'innerMounts'
>

/** @param place where the root goes; over the host's root it is for pivot_root to swap them */
export function appendMounts(list: SyscallList, request: PlacedMounts, place = '/'): void {
  list.call('mount', [null, '/', null, MountFlag.REC | MountFlag.SLAVE, null])
  moveTo(list, request.rootFd, place)
  for (const { mountFd, targetFd } of request.attachments) attach(list, mountFd, targetFd)
  for (const { treeFd, placed } of request.files) {
    attach(list, treeFd, request.stageFd)
    for (const { name, targetFd } of placed) {
      const path = `/proc/self/fd/${treeFd}/${name}`
      attach(
        list,
        list.call('open_tree', [AT_FDCWD, path, OPEN_TREE_CLONE | Open.CLOEXEC]),
        targetFd,
      )
    }
    list.call('umount2', [`/proc/self/fd/${treeFd}`, MNT_DETACH])
  }
  for (const mount of request.innerMounts) {
    if (typeof mount.target === 'number')
      appendInnerMount(list, mount, `/proc/self/fd/${mount.target}`)
  }
}

/** A mount and its place, both by descriptor: no path that the container could bend is walked. */
function attach(list: SyscallList, mount: number | Entry, targetFd: number): void {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
  list.call('move_mount', [mount, '', targetFd, '', flags], { target: 'a mount of the container' })
}

function moveTo(list: SyscallList, fd: number, directory: string): void {
  list.call('move_mount', [fd, '', AT_FDCWD, directory, MOVE_MOUNT_F_EMPTY_PATH], {
    target: directory,
  })
}

function appendInnerMount(list: SyscallList, mount: InnerMount, target: string): void {
  list.call('mount', [mount.type, target, mount.type, mount.flags, mount.options ?? null], {
    target: mount.type,
    ...(mount.ignoreError === true ? { ignoreError: true } : {}),
  })
}

/** man 2 pivot_root, "pivot_root(".", ".")": the old root lies over the new one and is taken off. */
function appendPivot(list: SyscallList, request: StartRequest): void {
  list.call('fchdir', [request.rootFd])
  list.call('pivot_root', ['.', '.'])
  list.call('umount2', ['.', MNT_DETACH])
  list.call('chdir', ['/'])
  for (const { mountFd, path } of request.lateAttachments) moveTo(list, mountFd, path)
  for (const mount of request.innerMounts) {
    if (typeof mount.target === 'string') appendInnerMount(list, mount, mount.target)
  }
  for (const { mountFd, path } of request.covers) moveTo(list, mountFd, path)
  appendSysctls(list, request)
  appendProtectedPaths(list, request)
}

/** maskedPaths and readonlyPaths of the OCI runtime specification (config-linux); what the kernel lacks is passed over. */
function appendProtectedPaths(list: SyscallList, request: StartRequest): void {
  for (const path of request.maskedPaths) {
    list.call('mount', ['/dev/null', path, null, MountFlag.BIND, null], { ignoreError: true })
    list.call('mount', ['tmpfs', `${path}/.`, 'tmpfs', MountFlag.RDONLY, null], {
      ignoreError: true,
    }) // a directory
  }
  const readOnly = MountFlag.NOSUID | MountFlag.NODEV | MountFlag.NOEXEC | MountFlag.RDONLY
  for (const path of request.readOnlyPaths) {
    list.call('mount', [path, path, null, MountFlag.BIND | MountFlag.REC, null], {
      ignoreError: true,
    })
    list.call('mount', [null, path, null, MountFlag.BIND | MountFlag.REMOUNT | readOnly, null], {
      ignoreError: true,
    })
  }
}

/** By /proc/sys, which shows each process its own namespaces. */
export function appendSysctls(list: SyscallList, { sysctls }: StartRequest): void {
  for (const [name, value] of Object.entries(sysctls))
    appendWrite(list, `/proc/sys/${name.replaceAll('.', '/')}`, value, { ignoreError: false })
}

/** In a UTS namespace of the container's own. */
export function appendIdentity(list: SyscallList, request: StartRequest): void {
  const { hostname, domainname } = request
  if (hostname !== undefined) list.call('sethostname', [hostname, Buffer.byteLength(hostname)])
  if (domainname !== undefined)
    list.call('setdomainname', [domainname, Buffer.byteLength(domainname)])
}
