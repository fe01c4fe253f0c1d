/** Ids of a detached copy of the host's mounts as a user namespace has them (man 2 mount_setattr, "ID-mapped mounts"). */
import { readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { changeMount } from '../kernel/detached-mount.ts'
import { SyscallError } from '../kernel/libc.ts'
import { TsstackError } from '../errors.ts'

/** Those in which the kernel shows itself: nobody but the host's root owns anything there, and what others may read is no secret. */
const KERNEL_TYPES = new Set([
  ...['proc', 'sysfs', 'cgroup', 'cgroup2', 'debugfs', 'tracefs', 'securityfs', 'configfs'],
  ...['devtmpfs', 'devpts', 'pstore', 'bpf', 'efivarfs', 'binfmt_misc'],
])

export interface MappedTree {
  readonly fd: number
  readonly usernsFd: number
  /** The mounts below it, too. */
  readonly recursive: boolean
  readonly readOnly: boolean
  /** What it is a copy of; absent: no part of the host's tree. */
  readonly source?: string
  /** For messages. */
  readonly shown: string
}

/**
 * Of what is only read, such as the host's `/`, each mount by itself where they can't be all at once: one of a file system
 * that has no ids to map shows those of the host, which are nobody's in the container.
 * @throws {FAILED_PRECONDITION} the file system doesn't support it
 */
export function mapIds(tree: MappedTree): void {
  const { fd, usernsFd, recursive, readOnly, source } = tree
  try {
    changeMount(fd, { usernsFd, recursive })
  } catch (error) {
    if (!readOnly || source === undefined) throw unsupported(tree, error)
    mapEach(tree, source, error)
  }
}

function mapEach(tree: MappedTree, source: string, first: unknown): void {
  const top = realpathSync(source)
  const mounts = readMounts()
  const own = mounts.findLast(({ at }) => isWithin(at, top))
  if (!tryMap(tree, '') && !KERNEL_TYPES.has(own?.type ?? '')) throw unsupported(tree, first)
  if (!tree.recursive) return
  for (const { at } of mounts)
    if (at !== top && isWithin(top, at)) tryMap(tree, path.relative(top, at))
}

function tryMap({ fd, usernsFd }: MappedTree, at: string): boolean {
  try {
    changeMount(fd, { usernsFd, at })
    return true
  } catch (error) {
    if (error instanceof SyscallError) return false
    throw error
  }
}

interface MountPoint {
  readonly at: string
  readonly type: string
}

/** man 5 proc_pid_mountinfo; later ones lie over earlier ones. */
function readMounts(): MountPoint[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, at, type] = /^\S+ \S+ \S+ \S+ (\S+) .*? - (\S+)/.exec(line) ?? []
      if (at === undefined || type === undefined) return []
      const plain = at.replace(/\\(\d{3})/g, (_, octal: string) =>
        String.fromCharCode(parseInt(octal, 8)),
      )
      return [{ at: plain, type }]
    })
}

function isWithin(directory: string, file: string): boolean {
  return directory === '/' || file === directory || file.startsWith(`${directory}/`)
}

function unsupported({ shown }: MappedTree, cause: unknown): TsstackError {
  return new TsstackError(
    'FAILED_PRECONDITION',
    `Cannot map ids of "${shown}": its file system does not support it`,
    {
      cause,
      hint: 'Set "userns_mode: host" on the service, or mount from another file system',
    },
  )
}
